// Targets with 64-bit atomic accesses and read-modify-writes: x86-64, aarch64, and WebAssembly. No interrupt waits for anything.
#ifndef FEAGI_PORT_ATOMIC64_H
#define FEAGI_PORT_ATOMIC64_H

#define FEAGI_PORT_DIVIDES 1
#define FEAGI_PORT_COUNTS 1

typedef uint32_t feagi_port_key_t;

// No interrupt writes a region here. It has one writing thread, so that the compiler's order is all that a section needs, or it
// is shared, and feagi_write.h does without sections.
static inline feagi_port_key_t feagi_port_lock(void) {
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
    return 0;
}
static inline void feagi_port_unlock(feagi_port_key_t key) {
    (void)key;
    __atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static inline uint8_t feagi_port_load_u8(const uint8_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void feagi_port_store_u8(uint8_t *p, uint8_t value) {
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}
static inline uint32_t feagi_port_load_u32(const uint32_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void feagi_port_store_u32(uint32_t *p, uint32_t value) {
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}
static inline uint64_t feagi_port_load_u64(const uint64_t *p) {
    return __atomic_load_n(p, __ATOMIC_ACQUIRE);
}
static inline void feagi_port_store_u64(uint64_t *p, uint64_t value) {
    __atomic_store_n(p, value, __ATOMIC_RELEASE);
}
static inline void feagi_port_add_u64(uint64_t *p, uint64_t n) {
    __atomic_fetch_add(p, n, __ATOMIC_ACQ_REL);
}
static inline bool feagi_port_cas_u32(uint32_t *p, uint32_t expected, uint32_t desired) {
    return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}
static inline void feagi_port_fence(void) {
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}
static inline bool feagi_port_cas_u64(uint64_t *p, uint64_t expected, uint64_t desired) {
    return __atomic_compare_exchange_n(p, &expected, desired, false, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
}

#endif
