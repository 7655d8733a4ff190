#include "feagi_state.h"

#include "feagi_events.h"
#include "feagi_write.h"

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

static uint32_t size_of(unsigned field) {
    return is_byte(field) ? 1 : feagi_fields[field].type == FEAGI_TYPE_U64 ? 8 : 4;
}

static void store(feagi_region_t *r, unsigned field, uint64_t value) {
    // One section, so that an interrupt that writes meanwhile finds version, time and marks to match the values.
    feagi_port_key_t key = feagi_write_begin(r);
    feagi_write_store(r, place_of(field), size_of(field), value);
    feagi_write_count_core(r);
    feagi_write_end(r, key);
}

// A field whose changes are events: value and event are one group, so that events come in the order of the changes.
static int store_and_tell(feagi_region_t *r, unsigned field, uint64_t value) {
    const int status = feagi_write_open(r);
    if (status) {
        return status;
    }
    feagi_port_key_t key = feagi_port_lock();
    const bool changed = feagi_state_get(r, field) != value;
    feagi_write_put(r, place_of(field), size_of(field), value);
    feagi_write_put_count_core(r);
    if (changed) {
        (void)feagi_events_put(r, feagi_fields[field].event, (uint32_t)value); // a full ring counts it; the write stands
    }
    feagi_port_unlock(key);
    feagi_write_close(r);
    return 0;
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
    if (stored) {
        *stored = value;
    }
    if (f->event) {
        return store_and_tell(r, field, value);
    }
    store(r, field, value);
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
    uint64_t value;
    for (bool done = false; !done;) {
        // Read before begin looks at the gate: if a group changes the field after that, the exchange fails.
        const uint64_t old = feagi_state_get(r, field);
        if (down) {
            value = amount < old ? old - amount : 0;
        } else {
            value = amount < most - old ? old + amount : most;
        }
        const uint32_t at = place_of(field);
        feagi_port_key_t key = feagi_write_begin(r);
        done = f->type == FEAGI_TYPE_U64 ? feagi_port_cas_u64(feagi_region_u64(r, at), old, value)
                                         : feagi_port_cas_u32(feagi_region_u32(r, at), (uint32_t)old, (uint32_t)value);
        if (done) {
            feagi_region_mark_bytes(r, at, size_of(field));
            feagi_write_count_core(r);
        }
        feagi_write_end(r, key);
    }
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
