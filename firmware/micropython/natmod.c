// The module as a native .mpy. Such a module has no initialised data, and its types are not in ROM: they are made at import.
// Uninitialised globals are one block on the heap, which the collector scans for as long as the module is loaded.
#include "feagi_module.h"
#include "feagi_names.h"

mp_obj_full_type_t feagi_state_type, feagi_link_type;
mp_obj_full_type_t feagi_state_error, feagi_agent_not_found, feagi_agent_already_registered, feagi_capacity_error,
    feagi_area_not_found, feagi_not_lock_owner;
mp_obj_t feagi_instance;
qstr_short_t feagi_name_qstrs[FEAGI_NAMES];

#define FEAGI_STATE_TYPE ((const mp_obj_type_t *)&feagi_state_type)
#define FEAGI_STATE_ERROR ((const mp_obj_type_t *)&feagi_state_error)
#define FEAGI_AGENT_NOT_FOUND ((const mp_obj_type_t *)&feagi_agent_not_found)
#define FEAGI_AGENT_ALREADY_REGISTERED ((const mp_obj_type_t *)&feagi_agent_already_registered)
#define FEAGI_CAPACITY_ERROR ((const mp_obj_type_t *)&feagi_capacity_error)
#define FEAGI_AREA_NOT_FOUND ((const mp_obj_type_t *)&feagi_area_not_found)
#define FEAGI_NOT_LOCK_OWNER ((const mp_obj_type_t *)&feagi_not_lock_owner)
#define FEAGI_INSTANCE feagi_instance
#define FEAGI_NAME_QSTRS feagi_name_qstrs

#include "feagi_module.c"

mp_map_elem_t feagi_state_methods[24];
static MP_DEFINE_CONST_DICT(feagi_state_locals, feagi_state_methods);
mp_map_elem_t feagi_link_methods[1];
static MP_DEFINE_CONST_DICT(feagi_link_locals, feagi_link_methods);

static void make_exception(mp_obj_full_type_t *type, qstr name, const void *base) {
    mp_obj_exception_init(type, name, base);
    mp_store_global(name, MP_OBJ_FROM_PTR(type));
}

#define METHOD(name, function) ((mp_map_elem_t){MP_OBJ_NEW_QSTR(name), MP_OBJ_FROM_PTR(&function)})

mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY(void) n_args;
    (void)n_kw;
    (void)args;
    mp_map_elem_t *m = feagi_state_methods;
    *m++ = METHOD(MP_QSTR_add, state_add_obj);
    *m++ = METHOD(MP_QSTR_subtract, state_subtract_obj);
    *m++ = METHOD(MP_QSTR_register_agent, state_register_agent_obj);
    *m++ = METHOD(MP_QSTR_deregister_agent, state_deregister_agent_obj);
    *m++ = METHOD(MP_QSTR_heartbeat, state_heartbeat_obj);
    *m++ = METHOD(MP_QSTR_get_agent, state_get_agent_obj);
    *m++ = METHOD(MP_QSTR_get_agents, state_get_agents_obj);
    *m++ = METHOD(MP_QSTR_emit, state_emit_obj);
    *m++ = METHOD(MP_QSTR_pop_event, state_pop_event_obj);
    *m++ = METHOD(MP_QSTR_events_rejected, state_events_rejected_obj);
    *m++ = METHOD(MP_QSTR_digest, state_digest_obj);
    *m++ = METHOD(MP_QSTR_tick, state_tick_obj);
    *m++ = METHOD(MP_QSTR_instance, state_instance_obj);
    *m++ = METHOD(MP_QSTR_try_lock, state_try_lock_obj);
    *m++ = METHOD(MP_QSTR_unlock, state_unlock_obj);
    *m++ = METHOD(MP_QSTR_is_locked, state_is_locked_obj);
    *m++ = METHOD(MP_QSTR_get_locked_areas, state_get_locked_areas_obj);
    *m++ = METHOD(MP_QSTR_get_fcl_window, state_get_fcl_window_obj);
    *m++ = METHOD(MP_QSTR_set_fcl_window, state_set_fcl_window_obj);
    *m++ = METHOD(MP_QSTR_remove_fcl_window, state_remove_fcl_window_obj);
    *m++ = METHOD(MP_QSTR_get_fcl_windows, state_get_fcl_windows_obj);
    *m++ = METHOD(MP_QSTR_init_area_stats, state_init_area_stats_obj);
    *m++ = METHOD(MP_QSTR_get_area_stats, state_get_area_stats_obj);
    *m++ = METHOD(MP_QSTR_change_area_stats, state_change_area_stats_obj);
    feagi_state_type.base.type = &mp_type_type;
    feagi_state_type.flags = MP_TYPE_FLAG_NONE;
    feagi_state_type.name = MP_QSTR_StateManager;
    MP_OBJ_TYPE_SET_SLOT(&feagi_state_type, make_new, state_make_new, 0);
    MP_OBJ_TYPE_SET_SLOT(&feagi_state_type, attr, state_attr, 1);
    MP_OBJ_TYPE_SET_SLOT(&feagi_state_type, buffer, state_get_buffer, 2);
    MP_OBJ_TYPE_SET_SLOT(&feagi_state_type, locals_dict, (void *)&feagi_state_locals, 3);
    mp_store_global(MP_QSTR_StateManager, MP_OBJ_FROM_PTR(&feagi_state_type));

    feagi_link_methods[0] = METHOD(MP_QSTR_poll, link_poll_obj);
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

    mp_store_global(MP_QSTR_frame_encode, MP_OBJ_FROM_PTR(&frame_encode_obj));
    mp_store_global(MP_QSTR_frame_decode, MP_OBJ_FROM_PTR(&frame_decode_obj));
    mp_store_global(MP_QSTR_schema_hash, MP_OBJ_FROM_PTR(&schema_hash_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
