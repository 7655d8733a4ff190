#include "feagi_state.h"

#include "feagi_events.h"

static uint32_t place_of(unsigned field) {
    return FEAGI_HEADER_LEN_BYTES + feagi_fields[field].offset;
}

static bool is_byte(unsigned field) {
    return feagi_fields[field].type <= FEAGI_TYPE_BOOL;
}

static uint64_t largest(unsigned field) {
    return is_byte(field) ? feagi_fields[field].limit : feagi_fields[field].type == FEAGI_TYPE_U64 ? UINT64_MAX : UINT32_MAX;
}

int feagi_state_field_at(uint64_t offset) {
    for (unsigned i = 0; i < FEAGI_FIELDS; i++) {
        if (feagi_fields[i].offset == offset) {
            return (int)i;
        }
    }
    return FEAGI_ERR_FIELD;
}

uint64_t feagi_state_get(const feagi_region_t *r, unsigned field) {
    uint32_t at = place_of(field);
    if (is_byte(field)) {
        return __atomic_load_n(r->base + at, __ATOMIC_ACQUIRE);
    }
    return feagi_fields[field].type == FEAGI_TYPE_U64 ? feagi_port_load_u64(feagi_region_u64(r, at))
                                                      : feagi_port_load_u32(feagi_region_u32(r, at));
}

void feagi_state_put(feagi_region_t *r, unsigned field, uint64_t value) {
    uint32_t at = place_of(field);
    // One section, so that an interrupt that writes meanwhile finds version, time and marks to match the values.
    feagi_port_key_t key = feagi_port_lock();
    if (is_byte(field)) {
        __atomic_store_n(r->base + at, (uint8_t)value, __ATOMIC_RELEASE);
    } else if (feagi_fields[field].type == FEAGI_TYPE_U64) {
        feagi_port_store_u64(feagi_region_u64(r, at), value);
    } else {
        feagi_port_store_u32(feagi_region_u32(r, at), (uint32_t)value);
    }
    feagi_port_add_u64(feagi_region_u64(r, place_of(FEAGI_FIELD_VERSION)), 1);
    feagi_port_store_u64(feagi_region_u64(r, place_of(FEAGI_FIELD_LAST_MODIFIED)), r->now_ms);
    // The clock's page needs no mark: the link compares it with what it sent.
    feagi_region_mark_bytes(r, at, feagi_fields[field].type == FEAGI_TYPE_U64 ? 8 : 1);
    feagi_port_unlock(key);
}

int feagi_state_set(feagi_region_t *r, unsigned field, uint64_t value, uint64_t *stored) {
    const feagi_field_t *f = &feagi_fields[field];
    if (!(f->flags & FEAGI_FIELD_WRITABLE)) {
        return FEAGI_ERR_READ_ONLY;
    }
    if (value > largest(field)) {
        if (!(f->flags & FEAGI_FIELD_CLAMPED)) {
            return FEAGI_ERR_RANGE;
        }
        value = f->limit;
    }
    bool changed = f->event && feagi_state_get(r, field) != value;
    feagi_state_put(r, field, value);
    if (changed) {
        // A full ring counts the rejected event; the write stands.
        (void)feagi_events_push(r, f->event, (uint32_t)value);
    }
    if (stored) {
        *stored = value;
    }
    return 0;
}

static int change(feagi_region_t *r, unsigned field, uint64_t amount, bool down, uint64_t *stored) {
    const feagi_field_t *f = &feagi_fields[field];
    if (!(f->flags & FEAGI_FIELD_WRITABLE)) {
        return FEAGI_ERR_READ_ONLY;
    }
    if (f->type != FEAGI_TYPE_U32 && f->type != FEAGI_TYPE_U64) {
        return FEAGI_ERR_OPERATION;
    }
    uint64_t most = largest(field);
    if (amount > most) {
        return FEAGI_ERR_RANGE;
    }
    feagi_port_key_t key = feagi_port_lock(); // read and write are one step
    uint64_t value = feagi_state_get(r, field);
    if (down) {
        value = amount < value ? value - amount : 0;
    } else {
        value = amount < most - value ? value + amount : most;
    }
    feagi_state_put(r, field, value);
    feagi_port_unlock(key);
    if (stored) {
        *stored = value;
    }
    return 0;
}

int feagi_state_add(feagi_region_t *r, unsigned field, uint64_t amount, uint64_t *stored) {
    return change(r, field, amount, false, stored);
}

int feagi_state_subtract(feagi_region_t *r, unsigned field, uint64_t amount, uint64_t *stored) {
    return change(r, field, amount, true, stored);
}
