// The module as part of a firmware (USER_C_MODULES): types and names in ROM.
#include "feagi_module.h"
#include "feagi_names.h"

#include "py/objexcept.h"
#include "py/objtype.h"

MP_REGISTER_ROOT_POINTER(mp_obj_t feagi_instance);

extern const mp_obj_type_t feagi_state_type, feagi_link_type;
static qstr_short_t feagi_name_qstrs[FEAGI_NAMES];

MP_DEFINE_EXCEPTION(StateError, Exception)
MP_DEFINE_EXCEPTION(AgentNotFound, StateError)
MP_DEFINE_EXCEPTION(AgentAlreadyRegistered, StateError)
MP_DEFINE_EXCEPTION(CapacityError, StateError)
MP_DEFINE_EXCEPTION(AreaNotFound, StateError)
MP_DEFINE_EXCEPTION(NotLockOwner, StateError)

#define FEAGI_STATE_TYPE (&feagi_state_type)
#define FEAGI_STATE_ERROR (&mp_type_StateError)
#define FEAGI_AGENT_NOT_FOUND (&mp_type_AgentNotFound)
#define FEAGI_AGENT_ALREADY_REGISTERED (&mp_type_AgentAlreadyRegistered)
#define FEAGI_CAPACITY_ERROR (&mp_type_CapacityError)
#define FEAGI_AREA_NOT_FOUND (&mp_type_AreaNotFound)
#define FEAGI_NOT_LOCK_OWNER (&mp_type_NotLockOwner)
#define FEAGI_INSTANCE MP_STATE_VM(feagi_instance)
#define FEAGI_NAME_QSTRS feagi_name_qstrs

#include "feagi_module.c"

#define METHOD(name, function) {MP_ROM_QSTR(name), MP_ROM_PTR(&function)},
static const mp_rom_map_elem_t feagi_state_methods[] = {FEAGI_METHODS(METHOD)};
static MP_DEFINE_CONST_DICT(feagi_state_locals, feagi_state_methods);

MP_DEFINE_CONST_OBJ_TYPE(feagi_state_type, MP_QSTR_StateManager, MP_TYPE_FLAG_NONE, make_new, state_make_new, attr, state_attr,
                         buffer, state_get_buffer, locals_dict, &feagi_state_locals);

static const mp_rom_map_elem_t feagi_link_methods[] = {
    {MP_ROM_QSTR(MP_QSTR_poll), MP_ROM_PTR(&link_poll_obj)},
};
static MP_DEFINE_CONST_DICT(feagi_link_locals, feagi_link_methods);

MP_DEFINE_CONST_OBJ_TYPE(feagi_link_type, MP_QSTR_Link, MP_TYPE_FLAG_NONE, make_new, link_make_new, attr, link_attr, locals_dict,
                         &feagi_link_locals);

static const mp_rom_map_elem_t feagi_globals[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_feagi_state)},
    {MP_ROM_QSTR(MP_QSTR_StateManager), MP_ROM_PTR(&feagi_state_type)},
    {MP_ROM_QSTR(MP_QSTR_Link), MP_ROM_PTR(&feagi_link_type)},
    {MP_ROM_QSTR(MP_QSTR_StateError), MP_ROM_PTR(&mp_type_StateError)},
    {MP_ROM_QSTR(MP_QSTR_AgentNotFound), MP_ROM_PTR(&mp_type_AgentNotFound)},
    {MP_ROM_QSTR(MP_QSTR_AgentAlreadyRegistered), MP_ROM_PTR(&mp_type_AgentAlreadyRegistered)},
    {MP_ROM_QSTR(MP_QSTR_CapacityError), MP_ROM_PTR(&mp_type_CapacityError)},
    {MP_ROM_QSTR(MP_QSTR_AreaNotFound), MP_ROM_PTR(&mp_type_AreaNotFound)},
    {MP_ROM_QSTR(MP_QSTR_NotLockOwner), MP_ROM_PTR(&mp_type_NotLockOwner)},
    {MP_ROM_QSTR(MP_QSTR_frame_encode), MP_ROM_PTR(&frame_encode_obj)},
    {MP_ROM_QSTR(MP_QSTR_frame_decode), MP_ROM_PTR(&frame_decode_obj)},
    {MP_ROM_QSTR(MP_QSTR_schema_hash), MP_ROM_PTR(&schema_hash_obj)},
    FEAGI_NAMES_ENUMS};
static MP_DEFINE_CONST_DICT(feagi_globals_dict, feagi_globals);

const mp_obj_module_t feagi_state_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&feagi_globals_dict,
};
MP_REGISTER_MODULE(MP_QSTR_feagi_state, feagi_state_module);
