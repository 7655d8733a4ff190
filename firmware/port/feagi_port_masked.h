// What a port lacks instructions for, made in feagi_port_lock()'s sections: 64-bit accesses, and compare and exchange.
#ifndef FEAGI_PORT_MASKED_H
#define FEAGI_PORT_MASKED_H

// An interrupt sees the program's order of accesses on its own core, so there ordering needs the compiler only.
#ifndef FEAGI_PORT_BARRIER
#define FEAGI_PORT_BARRIER() __atomic_signal_fence(__ATOMIC_SEQ_CST)
#endif

// One instruction: a call would be longer, which the compiler, for the barrier, does not see.
#define FEAGI_PORT_INLINE inline __attribute__((always_inline))

static FEAGI_PORT_INLINE uint8_t feagi_port_load_u8(const uint8_t *p) {
    uint8_t value = __atomic_load_n(p, __ATOMIC_RELAXED);
    FEAGI_PORT_BARRIER();
    return value;
}
static FEAGI_PORT_INLINE void feagi_port_store_u8(uint8_t *p, uint8_t value) {
    FEAGI_PORT_BARRIER();
    __atomic_store_n(p, value, __ATOMIC_RELAXED);
}
static FEAGI_PORT_INLINE uint32_t feagi_port_load_u32(const uint32_t *p) {
    uint32_t value = __atomic_load_n(p, __ATOMIC_RELAXED);
    FEAGI_PORT_BARRIER();
    return value;
}
static FEAGI_PORT_INLINE void feagi_port_store_u32(uint32_t *p, uint32_t value) {
    FEAGI_PORT_BARRIER();
    __atomic_store_n(p, value, __ATOMIC_RELAXED);
}
static inline uint64_t feagi_port_load_u64(const uint64_t *p) {
    feagi_port_key_t key = feagi_port_lock();
    uint64_t value = *p;
    feagi_port_unlock(key);
    return value;
}
static inline void feagi_port_store_u64(uint64_t *p, uint64_t value) {
    feagi_port_key_t key = feagi_port_lock();
    *p = value;
    feagi_port_unlock(key);
}
static inline void feagi_port_add_u64(uint64_t *p, uint64_t n) {
    feagi_port_key_t key = feagi_port_lock();
    *p += n;
    feagi_port_unlock(key);
}
static inline bool feagi_port_cas_u32(uint32_t *p, uint32_t expected, uint32_t desired) {
    feagi_port_key_t key = feagi_port_lock();
    bool equal = *p == expected;
    if (equal) {
        *p = desired;
    }
    feagi_port_unlock(key);
    return equal;
}
static inline bool feagi_port_cas_u64(uint64_t *p, uint64_t expected, uint64_t desired) {
    feagi_port_key_t key = feagi_port_lock();
    bool equal = *p == expected;
    if (equal) {
        *p = desired;
    }
    feagi_port_unlock(key);
    return equal;
}

#endif
