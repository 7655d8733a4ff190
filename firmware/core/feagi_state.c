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

int feagi_state_check(unsigned field, unsigned kind, uint64_t *value) {
    const feagi_field_t *f = &feagi_fields[field];
    if (!(f->flags & FEAGI_FIELD_WRITABLE)) {
        return FEAGI_ERR_READ_ONLY;
    }
    if (kind != FEAGI_STATE_SET && f->type != FEAGI_TYPE_U32 && f->type != FEAGI_TYPE_U64) {
        return FEAGI_ERR_OPERATION;
    }
    if (*value > largest(field)) {
        if (!(f->flags & FEAGI_FIELD_CLAMPED)) {
            return FEAGI_ERR_RANGE;
        }
        *value = f->limit;
    }
    return 0;
}

uint64_t feagi_state_after(unsigned field, unsigned kind, uint64_t value, uint64_t before) {
    if (kind == FEAGI_STATE_SET) {
        return value;
    }
    if (kind == FEAGI_STATE_SUBTRACT) {
        return value < before ? before - value : 0;
    }
    const uint64_t most = largest(field);
    return value < most - before ? before + value : most;
}

int feagi_state_set(feagi_region_t *r, unsigned field, uint64_t value, uint64_t *stored) {
    int status = feagi_state_check(field, FEAGI_STATE_SET, &value);
    if (!status && feagi_fields[field].event) {
        status = store_and_tell(r, field, value);
    } else if (!status) {
        feagi_state_store(r, feagi_fields[field].offset, size_of(field), value);
    }
    if (!status && stored) {
        *stored = value;
    }
    return status;
}

static int change(feagi_region_t *r, unsigned field, uint64_t amount, unsigned kind, uint64_t *stored) {
    const int status = feagi_state_check(field, kind, &amount);
    if (status) {
        return status;
    }
    const bool is_long = feagi_fields[field].type == FEAGI_TYPE_U64;
    const uint32_t at = place_of(field);
    uint64_t value;
    for (bool done = false; !done;) {
        // Read before begin looks at the gate: if a group changes the field after that, the exchange fails.
        const uint64_t before = feagi_state_get(r, field);
        value = feagi_state_after(field, kind, amount, before);
        feagi_port_key_t key = feagi_write_begin(r);
        done = is_long ? feagi_port_cas_u64(feagi_region_u64(r, at), before, value)
                       : feagi_port_cas_u32(feagi_region_u32(r, at), (uint32_t)before, (uint32_t)value);
        if (done) {
            feagi_write_mark(r, at, is_long ? 8 : 4);
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
    return change(r, field, amount, FEAGI_STATE_ADD, stored);
}

int feagi_state_subtract(feagi_region_t *r, unsigned field, uint64_t amount, uint64_t *stored) {
    return change(r, field, amount, FEAGI_STATE_SUBTRACT, stored);
}

#if FEAGI_PORT_SHARED
// The events of an update: one for each field that has another value after it. Such fields are written by the lock's holder
// alone, so what they hold now is what they hold until the update is made.
static void tell(feagi_region_t *r, const feagi_state_write_t *writes, uint32_t count) {
    for (unsigned field = 0; field < FEAGI_FIELDS; field++) {
        const uint64_t before = feagi_fields[field].event ? feagi_state_get(r, field) : 0;
        uint64_t value = before;
        for (uint32_t i = 0; i < count && feagi_fields[field].event; i++) {
            value = writes[i].field == field ? writes[i].value : value;
        }
        if (value != before) {
            (void)feagi_events_put(r, feagi_fields[field].event, (uint32_t)value);
        }
    }
}

int feagi_state_update(feagi_region_t *r, const feagi_state_write_t *writes, uint32_t count) {
    static const int kinds[] = {FEAGI_SHARED_STORE, FEAGI_SHARED_ADD, FEAGI_SHARED_SUBTRACT};
    if (count > FEAGI_STATE_UPDATE_WRITES) {
        return FEAGI_ERR_FULL;
    }
    const int status = feagi_shared_lock(r);
    if (status) {
        return status;
    }
    feagi_shared_close_gate(r);
    for (uint32_t i = 0; i < count; i++) {
        const unsigned field = writes[i].field;
        if (field & FEAGI_STATE_HASH) {
            feagi_shared_put(r, FEAGI_SHARED_STORE, FEAGI_HASHES_AT + (field & ~FEAGI_STATE_HASH) * 8, 8, writes[i].value, 0);
        } else {
            feagi_shared_put(r, kinds[writes[i].kind], place_of(field), size_of(field), writes[i].value, 0);
            feagi_write_put_count_core(r);
        }
    }
    tell(r, writes, count);
    feagi_shared_commit(r);
    return 0;
}
#endif
