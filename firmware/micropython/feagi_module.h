// What differs between the module as a native .mpy and as a user C module of a firmware: how it reaches the interpreter.
#ifndef FEAGI_MODULE_H
#define FEAGI_MODULE_H

#if MICROPY_ENABLE_DYNRUNTIME
#include "py/dynruntime.h"
#define FEAGI_ATTRIBUTE_ERROR ((const mp_obj_type_t *)MP_OBJ_TO_PTR(mp_load_global(MP_QSTR_AttributeError)))
#else
#include "py/runtime.h"
#define FEAGI_ATTRIBUTE_ERROR (&mp_type_AttributeError)
#endif

// StateManager's methods, but for load, which is static. Spelled out, since the native module's names are taken from the sources
// as they stand.
#define FEAGI_METHODS(METHOD)                                                                                                    \
    METHOD(MP_QSTR_add, state_add_obj)                                                                                           \
    METHOD(MP_QSTR_subtract, state_subtract_obj)                                                                                 \
    METHOD(MP_QSTR_register_agent, state_register_agent_obj)                                                                     \
    METHOD(MP_QSTR_deregister_agent, state_deregister_agent_obj)                                                                 \
    METHOD(MP_QSTR_heartbeat, state_heartbeat_obj)                                                                               \
    METHOD(MP_QSTR_evict_stale, state_evict_stale_obj)                                                                           \
    METHOD(MP_QSTR_get_agent, state_get_agent_obj)                                                                               \
    METHOD(MP_QSTR_get_agents, state_get_agents_obj)                                                                             \
    METHOD(MP_QSTR_emit, state_emit_obj)                                                                                         \
    METHOD(MP_QSTR_pop_event, state_pop_event_obj)                                                                               \
    METHOD(MP_QSTR_events_rejected, state_events_rejected_obj)                                                                   \
    METHOD(MP_QSTR_digest, state_digest_obj)                                                                                     \
    METHOD(MP_QSTR_tick, state_tick_obj)                                                                                         \
    METHOD(MP_QSTR_instance, state_instance_obj)                                                                                 \
    METHOD(MP_QSTR_save, state_save_obj)                                                                                         \
    METHOD(MP_QSTR_restore, state_restore_obj)                                                                                   \
    METHOD(MP_QSTR_try_lock, state_try_lock_obj)                                                                                 \
    METHOD(MP_QSTR_unlock, state_unlock_obj)                                                                                     \
    METHOD(MP_QSTR_take_over, state_take_over_obj)                                                                               \
    METHOD(MP_QSTR_is_locked, state_is_locked_obj)                                                                               \
    METHOD(MP_QSTR_lock_owner, state_lock_owner_obj)                                                                             \
    METHOD(MP_QSTR_get_locked_areas, state_get_locked_areas_obj)                                                                 \
    METHOD(MP_QSTR_get_fcl_window, state_get_fcl_window_obj)                                                                     \
    METHOD(MP_QSTR_set_fcl_window, state_set_fcl_window_obj)                                                                     \
    METHOD(MP_QSTR_remove_fcl_window, state_remove_fcl_window_obj)                                                               \
    METHOD(MP_QSTR_get_fcl_windows, state_get_fcl_windows_obj)                                                                   \
    METHOD(MP_QSTR_init_area_stats, state_init_area_stats_obj)                                                                   \
    METHOD(MP_QSTR_get_area_stats, state_get_area_stats_obj)                                                                     \
    METHOD(MP_QSTR_set_area_stats, state_set_area_stats_obj)                                                                     \
    METHOD(MP_QSTR_change_area_stats, state_change_area_stats_obj)

#endif
