#include "feagi_state.h"

#include "feagi_events.h"
#include "feagi_write.h"

static uint32_t field_at(unsigned field) {
    return FEAGI_HEADER_LEN_BYTES + feagi_fields[field].offset;
}

static bool is_byte(unsigned field) {
    return feagi_fields[field].type <= FEAGI_TYPE_BOOL;
}

static uint32_t size_of(unsigned field) {
    return is_byte(field) ? 1 : feagi_fields[field].type == FEAGI_TYPE_U64 ? 8 : 4;
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
    return feagi_write_load(r, field_at(field), size_of(field));
}

int feagi_state_check(unsigned field, unsigned how, uint64_t *value) {
    const feagi_field_t *f = &feagi_fields[field];
    if (!(f->flags & FEAGI_FIELD_WRITABLE)) {
        return FEAGI_ERR_READ_ONLY;
    }
    if (how != FEAGI_STATE_SET && f->type != FEAGI_TYPE_U32 && f->type != FEAGI_TYPE_U64) {
        return FEAGI_ERR_OPERATION;
    }
    if (f->type != FEAGI_TYPE_U64 && *value > (is_byte(field) ? f->limit : UINT32_MAX)) {
        if (!(f->flags & FEAGI_FIELD_CLAMPED)) {
            return FEAGI_ERR_RANGE;
        }
        *value = f->limit;
    }
    return 0;
}

uint64_t feagi_state_after(unsigned field, unsigned how, uint64_t value, uint64_t before) {
    return feagi_write_after(how, size_of(field), before, value);
}

// A field whose changes are events: value and event are one group, so that events come in the order of the changes.
static int store_and_tell(feagi_region_t *r, unsigned field, uint64_t value) {
    const int status = feagi_write_open(r);
    if (status) {
        return status;
    }
    feagi_port_key_t key = feagi_port_lock();
    const bool changed = feagi_state_get(r, field) != value;
    feagi_write_put(r, field_at(field), size_of(field), value);
    feagi_write_put_count_core(r);
    if (changed) {
        (void)feagi_events_put(r, feagi_fields[field].event, (uint32_t)value); // a full ring counts it; the write stands
    }
    feagi_port_unlock(key);
    feagi_write_close(r);
    return 0;
}

int feagi_state_write(feagi_region_t *r, unsigned field, unsigned how, uint64_t value, uint64_t *stored) {
    int status = feagi_state_check(field, how, &value);
    if (!status && feagi_fields[field].event) {
        status = store_and_tell(r, field, value);
    } else if (!status) {
        value = feagi_write_change(r, field_at(field), size_of(field), how, value);
    }
    if (!status && stored) {
        *stored = value;
    }
    return status;
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
            feagi_shared_put(r, kinds[writes[i].kind], field_at(field), size_of(field), writes[i].value, 0);
            feagi_write_put_count_core(r);
        }
    }
    tell(r, writes, count);
    feagi_shared_commit(r);
    return 0;
}
#endif
