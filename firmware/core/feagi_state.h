// The core block: fields with the meaning that FEAGI gives them.
//
// Fields are named by their index in feagi_fields (FEAGI_FIELD_*). Values travel as u64, an f32 as its bits. Every write adds 1
// to `version`, sets `last_modified` to the region's time, and marks the field's word for the link. A change of
// burst_engine_state or genome_state also pushes an event.
#ifndef FEAGI_STATE_H
#define FEAGI_STATE_H

#include "feagi_write.h"

// One write of feagi_state_update.
typedef struct {
    uint8_t kind;  // FEAGI_STATE_SET, _ADD or _SUBTRACT
    uint8_t field; // index in feagi_fields, or FEAGI_STATE_HASH + index of a hash, which takes SET alone
    uint64_t value;
} feagi_state_write_t;
enum { FEAGI_STATE_SET = FEAGI_WRITE_SET, FEAGI_STATE_ADD = FEAGI_WRITE_ADD, FEAGI_STATE_SUBTRACT = FEAGI_WRITE_SUBTRACT };
#define FEAGI_STATE_HASH 0x80u
// Writes that an update may have: the journal also takes their events.
#define FEAGI_STATE_UPDATE_WRITES (FEAGI_JOURNAL_CHANGES - 8u)

// For C that knows at compile time which field it wants, by offsetof(feagi_core_t, ...). A read is one load; a write is a store,
// an atomic add to version and a store of the time. The value is not checked, and no event is pushed: not for burst_engine_state
// and genome_state. Any context, ISR-safe.
static inline uint8_t feagi_state_load_u8(const feagi_region_t *r, uint32_t offset) {
    return feagi_port_load_u8(r->base + FEAGI_HEADER_LEN_BYTES + offset);
}
static inline uint32_t feagi_state_load_u32(const feagi_region_t *r, uint32_t offset) {
    return feagi_port_load_u32(feagi_region_u32(r, FEAGI_HEADER_LEN_BYTES + offset));
}
static inline uint64_t feagi_state_load_u64(const feagi_region_t *r, uint32_t offset) {
    return feagi_port_load_u64(feagi_region_u64(r, FEAGI_HEADER_LEN_BYTES + offset));
}
static inline void feagi_state_store(feagi_region_t *r, uint32_t offset, uint32_t size_bytes, uint64_t value) {
    // One section, so that an interrupt that writes meanwhile finds version, time and marks to match the values.
    feagi_port_key_t key = feagi_write_begin(r);
    feagi_write_word(r, FEAGI_HEADER_LEN_BYTES + offset, size_bytes, value);
    feagi_region_mark_word(r, FEAGI_HEADER_LEN_BYTES + offset);
    if (size_bytes == 8) {
        feagi_region_mark_word(r, FEAGI_HEADER_LEN_BYTES + offset + 4);
    }
    feagi_write_count_core(r);
    feagi_write_end(r, key);
}
static inline void feagi_state_store_u8(feagi_region_t *r, uint32_t offset, uint8_t value) {
    feagi_state_store(r, offset, 1, value);
}
static inline void feagi_state_store_u32(feagi_region_t *r, uint32_t offset, uint32_t value) {
    feagi_state_store(r, offset, 4, value);
}
static inline void feagi_state_store_u64(feagi_region_t *r, uint32_t offset, uint64_t value) {
    feagi_state_store(r, offset, 8, value);
}

// The field at this byte offset of the core block, or FEAGI_ERR_FIELD. Any context.
int feagi_state_field_at(uint64_t offset);

// One untorn load. Any context, ISR-safe.
uint64_t feagi_state_get(const feagi_region_t *r, unsigned field);

// Changes a field. *stored (may be NULL) is what it holds then: FEAGI_STATE_SET stores the value, a percentage above 100 as 100;
// FEAGI_STATE_ADD adds it to a u32 or u64, which stays at its maximum (FEAGI's own panics or wraps there); FEAGI_STATE_SUBTRACT
// subtracts it, and the field stays at 0 (FEAGI's own returns 0 there but stores 4294967295).
// Any context, ISR-safe. In a shared region the two fields with events take its lock.
// Returns 0, FEAGI_ERR_READ_ONLY, FEAGI_ERR_RANGE (an enum has no such value, or it does not fit), FEAGI_ERR_OPERATION (an enum,
// bool, percentage or f32 takes no sums) or, for a field with events in a shared region, FEAGI_ERR_BUSY; errors change nothing.
int feagi_state_write(feagi_region_t *r, unsigned field, unsigned how, uint64_t value, uint64_t *stored);

// feagi_state_write of each kind. Any context, ISR-safe.
static inline int feagi_state_set(feagi_region_t *r, unsigned field, uint64_t value, uint64_t *stored) {
    return feagi_state_write(r, field, FEAGI_STATE_SET, value, stored);
}
static inline int feagi_state_add(feagi_region_t *r, unsigned field, uint64_t amount, uint64_t *stored) {
    return feagi_state_write(r, field, FEAGI_STATE_ADD, amount, stored);
}
static inline int feagi_state_subtract(feagi_region_t *r, unsigned field, uint64_t amount, uint64_t *stored) {
    return feagi_state_write(r, field, FEAGI_STATE_SUBTRACT, amount, stored);
}

// Checks a write of these kinds, without making it; *value is clamped. Any context.
int feagi_state_check(unsigned field, unsigned how, uint64_t *value);

// The value that a field has after a write that was checked. Any context.
uint64_t feagi_state_after(unsigned field, unsigned how, uint64_t value, uint64_t before);

#if FEAGI_PORT_SHARED
// Makes writes that were checked, in their order, as one group of a shared region. Any thread.
// Returns 0, FEAGI_ERR_FULL (more than FEAGI_STATE_UPDATE_WRITES) or FEAGI_ERR_BUSY; errors change nothing.
int feagi_state_update(feagi_region_t *r, const feagi_state_write_t *writes, uint32_t count);
#endif

#endif
