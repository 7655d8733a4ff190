// The module as a native .mpy. Such a module has no initialised data, and its types are not in ROM: they are made at import.
// Uninitialised globals are one block on the heap, which the collector scans for as long as the module is loaded.
#include "feagi_module.h"
#include "feagi_names.h"

// The linker wants these names, although nobody else does.
#define LINKED __attribute__((externally_visible))

LINKED mp_obj_full_type_t feagi_state_type, feagi_link_type;
LINKED mp_obj_full_type_t feagi_state_error, feagi_agent_not_found, feagi_agent_already_registered;
LINKED mp_obj_full_type_t feagi_capacity_error, feagi_area_not_found, feagi_not_lock_owner, feagi_persistence_error;
LINKED mp_obj_t feagi_instance, feagi_agent_info, feagi_ticks_us;
LINKED qstr_short_t feagi_name_qstrs[FEAGI_NAMES];

#define FEAGI_STATE_TYPE ((const mp_obj_type_t *)&feagi_state_type)
#define FEAGI_STATE_ERROR ((const mp_obj_type_t *)&feagi_state_error)
#define FEAGI_AGENT_NOT_FOUND ((const mp_obj_type_t *)&feagi_agent_not_found)
#define FEAGI_AGENT_ALREADY_REGISTERED ((const mp_obj_type_t *)&feagi_agent_already_registered)
#define FEAGI_CAPACITY_ERROR ((const mp_obj_type_t *)&feagi_capacity_error)
#define FEAGI_AREA_NOT_FOUND ((const mp_obj_type_t *)&feagi_area_not_found)
#define FEAGI_NOT_LOCK_OWNER ((const mp_obj_type_t *)&feagi_not_lock_owner)
#define FEAGI_AGENT_INFO feagi_agent_info
// There is no function of the HAL that a native module could call: the clock is the interpreter's.
#define FEAGI_TICKS_US() ((mp_uint_t)mp_obj_get_int(mp_call_function_n_kw(feagi_ticks_us, 0, 0, NULL)))
#define FEAGI_ENTROPY() ((uint32_t)FEAGI_TICKS_US())
#define FEAGI_NAME_QSTRS feagi_name_qstrs

#include "feagi_module.c"

static mp_obj_t state_instance(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    (void)args;
    if (feagi_instance == MP_OBJ_NULL) {
        feagi_instance = state_make_new(FEAGI_STATE_TYPE, 0, 0, NULL);
    }
    return feagi_instance;
}

#define COUNT(name, function) +1
LINKED mp_map_elem_t feagi_state_methods[1 FEAGI_METHODS(COUNT)];
static MP_DEFINE_CONST_DICT(feagi_state_locals, feagi_state_methods);
LINKED mp_map_elem_t feagi_link_methods[1];
static MP_DEFINE_CONST_DICT(feagi_link_locals, feagi_link_methods);

static void make_exception(mp_obj_full_type_t *type, qstr name, const void *base) {
    mp_obj_exception_init(type, name, base);
    mp_store_global(name, MP_OBJ_FROM_PTR(type));
}

// In a table: stores one by one would be the module's longest function.
#define FUNCTION(name, function) &function,
static const void *const method_functions[] = {FEAGI_METHODS(FUNCTION)};

static void fill_methods(void) {
#define NAME(name, function) name,
    const qstr_short_t names[] = {FEAGI_METHODS(NAME)};
    mp_map_elem_t *method = feagi_state_methods;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++, method++) {
        method->key = MP_OBJ_NEW_QSTR(names[i]);
        method->value = MP_OBJ_FROM_PTR(method_functions[i]);
    }
    const mp_obj_t load = MP_OBJ_FROM_PTR(&state_load_obj);
    method->key = MP_OBJ_NEW_QSTR(MP_QSTR_load);
    method->value = mp_call_function_n_kw(mp_load_global(MP_QSTR_staticmethod), 1, 0, &load);
}

LINKED mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY(void) n_args;
    (void)n_kw;
    (void)args;
    feagi_ticks_us = mp_load_attr(mp_import_name(MP_QSTR_time, mp_const_none, MP_OBJ_NEW_SMALL_INT(0)), MP_QSTR_ticks_us);
    fill_methods();
    feagi_state_type.base.type = &mp_type_type;
    feagi_state_type.flags = MP_TYPE_FLAG_NONE;
    feagi_state_type.name = MP_QSTR_StateManager;
    MP_OBJ_TYPE_SET_SLOT(&feagi_state_type, make_new, state_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&feagi_state_type, attr, state_attr, 1);
    MP_OBJ_TYPE_SET_SLOT(&feagi_state_type, buffer, state_get_buffer, 2);
    MP_OBJ_TYPE_SET_SLOT(&feagi_state_type, locals_dict, (void *)&feagi_state_locals, 3);
    mp_store_global(MP_QSTR_StateManager, MP_OBJ_FROM_PTR(&feagi_state_type));

    feagi_link_methods[0].key = MP_OBJ_NEW_QSTR(MP_QSTR_poll);
    feagi_link_methods[0].value = MP_OBJ_FROM_PTR(&link_poll_obj);
    feagi_link_type.base.type = &mp_type_type;
    feagi_link_type.flags = MP_TYPE_FLAG_NONE;
    feagi_link_type.name = MP_QSTR_Link;
    MP_OBJ_TYPE_SET_SLOT(&feagi_link_type, make_new, link_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&feagi_link_type, attr, link_attr, 1);
    MP_OBJ_TYPE_SET_SLOT(&feagi_link_type, locals_dict, (void *)&feagi_link_locals, 2);
    mp_store_global(MP_QSTR_Link, MP_OBJ_FROM_PTR(&feagi_link_type));

    make_exception(&feagi_state_error, MP_QSTR_StateError, &mp_type_Exception);
    make_exception(&feagi_agent_not_found, MP_QSTR_AgentNotFound, &feagi_state_error);
    make_exception(&feagi_agent_already_registered, MP_QSTR_AgentAlreadyRegistered, &feagi_state_error);
    make_exception(&feagi_capacity_error, MP_QSTR_CapacityError, &feagi_state_error);
    make_exception(&feagi_area_not_found, MP_QSTR_AreaNotFound, &feagi_state_error);
    make_exception(&feagi_not_lock_owner, MP_QSTR_NotLockOwner, &feagi_state_error);
    make_exception(&feagi_persistence_error, MP_QSTR_PersistenceError, &feagi_state_error);

    mp_store_global(MP_QSTR_frame_encode, MP_OBJ_FROM_PTR(&frame_encode_obj));
    mp_store_global(MP_QSTR_frame_decode, MP_OBJ_FROM_PTR(&frame_decode_obj));
    mp_store_global(MP_QSTR_schema_hash, MP_OBJ_FROM_PTR(&schema_hash_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
