#include "feagi_values.h"

#include "py/binary.h"
#include "py/smallint.h"

#include "feagi_text.h"

static __attribute__((noreturn)) void raise(size_t count, const mp_obj_t *values) {
    mp_call_function_n_kw(feagi_module()->helpers[FEAGI_HELPER_FAIL], count, 0, values);
    for (;;) { // it does not return
    }
}

void feagi_values_fail(int status, mp_obj_t about) {
    const mp_obj_t values[] = {MP_OBJ_NEW_SMALL_INT(status), about};
    raise(2, values);
}

void feagi_values_check(int status, mp_obj_t about) {
    if (status < 0) {
        feagi_values_fail(status, about);
    }
}

uint64_t feagi_values_number(mp_obj_t o, unsigned bits) {
    // There is no function for long ints that native modules could call, so the interpreter is asked.
    if (mp_binary_op(MP_BINARY_OP_RSHIFT, o, MP_OBJ_NEW_SMALL_INT(bits)) != MP_OBJ_NEW_SMALL_INT(0)) {
        feagi_values_fail(FEAGI_ERR_RANGE, o);
    }
    uint64_t value;
    mp_binary_set_val_array('Q', &value, 0, o);
    return value;
}

mp_obj_t feagi_values_new_number(uint64_t value) {
    if (value <= MP_SMALL_INT_MAX) {
        return MP_OBJ_NEW_SMALL_INT((mp_int_t)value);
    }
    return mp_binary_get_val_array('Q', &value, 0);
}

static feagi_value_t text_of(mp_obj_t o, unsigned kind, const feagi_region_t *r) {
    static const uint8_t lengths[] = {[FEAGI_VALUES_AGENT_ID] = FEAGI_AGENT_ID_LEN_BYTES,
                                      [FEAGI_VALUES_AREA_ID] = FEAGI_AREA_ID_LEN_BYTES,
                                      [FEAGI_VALUES_NAME] = FEAGI_DEVICE_NAME_LEN_BYTES};
    mp_buffer_info_t info;
    if (kind == FEAGI_VALUES_METADATA && o == mp_const_none) {
        return (feagi_value_t){0};
    }
    if (!mp_get_buffer(o, &info, MP_BUFFER_READ)) {
        feagi_values_fail(FEAGI_VALUES_NO_TEXT, o);
    }
    if (kind != FEAGI_VALUES_TEXT) {
        const size_t least = kind <= FEAGI_VALUES_AREA_ID;
        const size_t most = kind == FEAGI_VALUES_METADATA ? r->agents.entry_len - sizeof(feagi_agent_t) : lengths[kind];
        if (info.len < least || info.len > most) {
            const mp_obj_t values[] = {MP_OBJ_NEW_SMALL_INT(FEAGI_ERR_LENGTH), o, MP_OBJ_NEW_SMALL_INT((mp_int_t)info.len),
                                       MP_OBJ_NEW_SMALL_INT((mp_int_t)least), MP_OBJ_NEW_SMALL_INT((mp_int_t)most)};
            raise(5, values);
        }
        if (!feagi_text_valid(info.buf, info.len)) {
            feagi_values_fail(FEAGI_ERR_ENCODING, o);
        }
    }
    return (feagi_value_t){.text = info.buf, .len_bytes = info.len};
}

feagi_value_t feagi_values_take(mp_obj_t o, unsigned kind, const feagi_region_t *r) {
    if (kind >= FEAGI_VALUES_TEXT) {
        return text_of(o, kind, r);
    }
    feagi_value_t value = {0};
    if (kind != FEAGI_VALUES_OBJECT) {
        value.number = feagi_values_number(o, kind == FEAGI_VALUES_U32 ? 32 : 64);
    }
    return value;
}
