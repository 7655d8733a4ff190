// The type StateManager: making one, its clock, its fields as attributes, its region as a buffer.
#include "feagi_module.h"

#include "py/binary.h"
#include "py/smallint.h"

#include "feagi_hashes.h"
#include "feagi_state.h"
#include "feagi_values.h"

void feagi_manager_update_clock(feagi_manager_t *self) {
    const mp_uint_t ticks = feagi_module_ticks_us();
    mp_uint_t passed = (ticks - self->last_ticks) & MP_SMALL_INT_POSITIVE_MASK;
    self->last_ticks = ticks;
    self->now_us += passed;
    while (passed) { // in parts that 32 bits hold: where ints are longer, ticks may go on for hours between two calls
        const uint32_t part = passed < 1u << 30 ? (uint32_t)passed : 1u << 30;
        self->now_ms += feagi_port_divide(self->odd_us + part, 1000, &self->odd_us);
        passed -= part;
    }
    if (!self->manual_time) {
        feagi_region_set_time(&self->region, self->now_ms);
    }
}

void feagi_manager_start(feagi_manager_t *self, void *memory, uint32_t len_bytes, uint8_t profile, uint32_t boot_id) {
    feagi_port_clear(self, sizeof *self);
    self->base.type = (const mp_obj_type_t *)&feagi_module()->manager_type;
    self->last_ticks = feagi_module_ticks_us();
    (void)feagi_region_init(&self->region, memory, len_bytes, profile,
                            boot_id); // the profile is there, and the memory long enough
}

feagi_manager_t *feagi_manager_new(uint8_t profile, uint32_t boot_id) {
    const uint32_t len = feagi_region_len(feagi_region_profile(profile));
    feagi_manager_t *self = m_malloc(sizeof *self);
    // The heap gives 16 bytes of alignment at most; a region wants its sections on cache lines.
    void *memory = m_malloc(len + FEAGI_SECTION_ALIGN_BYTES - 1);
    const uintptr_t at = ((uintptr_t)memory + FEAGI_SECTION_ALIGN_BYTES - 1) & ~(uintptr_t)(FEAGI_SECTION_ALIGN_BYTES - 1);
    feagi_manager_start(self, (void *)at, len, profile, boot_id ? boot_id : feagi_link_mix(feagi_module_entropy(), (uint32_t)at));
    self->memory = memory;
    return self;
}

// StateManager(profile="micro", boot_id=made here)
mp_obj_t feagi_manager_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type; // it has no subclasses
    mp_arg_check_num(n_args, n_kw, 0, 2, false);
    uint8_t profile = FEAGI_PROFILE_MICRO;
    if (n_args > 0) {
        profile = (uint8_t)mp_obj_get_int(mp_call_function_n_kw(feagi_module()->helpers[FEAGI_HELPER_PROFILE], 1, 0, args));
    }
    return MP_OBJ_FROM_PTR(feagi_manager_new(profile, n_args > 1 ? (uint32_t)feagi_values_number(args[1], 32) : 0));
}

static mp_obj_t get_attribute(const feagi_manager_t *self, unsigned index) {
    const feagi_header_t *header = (const feagi_header_t *)(const void *)self->region.base;
    if (index >= FEAGI_NAMES_HASHES) {
        return index == FEAGI_NAMES_BOOT_ID ? feagi_values_new_number(header->boot_id)
               : index == FEAGI_NAMES_UNIX_TIME
                   ? mp_obj_new_bool(header->flags & FEAGI_FLAG_UNIX_TIME)
                   : feagi_values_new_number(feagi_hashes_get(&self->region, index - FEAGI_NAMES_HASHES));
    }
    uint64_t value = feagi_state_get(&self->region, index);
    const unsigned type = feagi_fields[index].type;
    if (type == FEAGI_TYPE_BOOL) {
        return mp_obj_new_bool(value);
    }
    if (type == FEAGI_TYPE_F32) {
        return mp_binary_get_val_array('f', &value,
                                       0); // by its bytes: a float argument would tie the module to one ABI of floats
    }
    return feagi_values_new_number(value);
}

static void set_attribute(feagi_manager_t *self, unsigned index, mp_obj_t o) {
    uint64_t value = 0;
    if (index < FEAGI_NAMES_HASHES && feagi_fields[index].type == FEAGI_TYPE_F32) {
        mp_binary_set_val_array('f', &value, 0, o);
    } else {
        value = feagi_values_number(o, 64);
    }
    if (index >= FEAGI_NAMES_BOOT_ID) {
        feagi_values_fail(FEAGI_ERR_READ_ONLY, MP_OBJ_NEW_QSTR(feagi_name(index)));
    }
    if (index >= FEAGI_NAMES_HASHES) {
        feagi_hashes_set(&self->region, index - FEAGI_NAMES_HASHES, value);
        return;
    }
    const int status = feagi_state_set(&self->region, index, value, NULL);
    feagi_values_check(status, status == FEAGI_ERR_READ_ONLY ? MP_OBJ_NEW_QSTR(feagi_name(index)) : o);
}

unsigned feagi_manager_attribute(qstr name) {
    // A name and its index are one word, so that an interrupt that looks another one up leaves both or neither.
    uint32_t *found = &feagi_module()->found[name % FEAGI_MODULE_FOUND];
    const uint32_t known = *found;
    if (known >> 8 == name) {
        return known & 0xff;
    }
    const qstr_short_t *names = feagi_module_names();
    unsigned i = 0;
    while (i < FEAGI_NAMES_AND_METHODS && names[i] != name) {
        i++;
    }
    *found = (uint32_t)name << 8 | i;
    return i;
}

static __attribute__((noinline)) void access_attribute(feagi_manager_t *self, qstr name, mp_obj_t *dest) {
    const unsigned index = feagi_manager_attribute(name);
    if (dest[0] == MP_OBJ_NULL) {
        if (index < FEAGI_NAMES) {
            dest[0] = get_attribute(self, index);
        } else if (index < FEAGI_NAMES_AND_METHODS) {
            dest[0] = MP_OBJ_FROM_PTR(&feagi_module()->methods[index - FEAGI_NAMES]);
            dest[1] = MP_OBJ_FROM_PTR(self);
        } else {
            dest[1] = MP_OBJ_SENTINEL; // a method of _feagi_state.py, then
        }
    } else if (index < FEAGI_NAMES && dest[1] != MP_OBJ_NULL) {
        set_attribute(self, index, dest[1]);
        dest[0] = MP_OBJ_NULL; // done
    }
}

// What most programs do all the time is short: they read a u8 or u32 whose name was found before, or call a method.
void feagi_manager_attr(mp_obj_t self_in, qstr name, mp_obj_t *dest) {
    feagi_manager_t *self = MP_OBJ_TO_PTR(self_in);
    const uint32_t known = feagi_module()->found[name % FEAGI_MODULE_FOUND];
    const unsigned index = known & 0xff;
    if (known >> 8 == name && dest[0] == MP_OBJ_NULL) {
        if (index >= FEAGI_NAMES && index < FEAGI_NAMES_AND_METHODS) {
            dest[0] = MP_OBJ_FROM_PTR(&feagi_module()->methods[index - FEAGI_NAMES]);
            dest[1] = self_in;
            return;
        }
        const feagi_field_t *f = &feagi_fields[index];
        if (index < FEAGI_FIELDS && (f->type == FEAGI_TYPE_U32 || f->type == FEAGI_TYPE_U8)) {
            const uint8_t *at = self->region.base + FEAGI_HEADER_LEN_BYTES + f->offset;
            const mp_uint_t value =
                f->type == FEAGI_TYPE_U32 ? feagi_port_load_u32((const uint32_t *)(const void *)at) : feagi_port_load_u8(at);
            if (value <= MP_SMALL_INT_MAX) {
                dest[0] = MP_OBJ_NEW_SMALL_INT((mp_int_t)value);
                return;
            }
        }
    }
    access_attribute(self, name, dest);
}

// memoryview(state) and bytes(state) are the region, read-only: writes go through the fields, which mark what changed.
mp_int_t feagi_manager_buffer(mp_obj_t self_in, mp_buffer_info_t *info, mp_uint_t flags) {
    feagi_manager_t *self = MP_OBJ_TO_PTR(self_in);
    info->buf = self->region.base;
    info->len = self->region.len_bytes;
    info->typecode = 'B';
    return (flags & MP_BUFFER_WRITE) != 0;
}
