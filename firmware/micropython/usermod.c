// The module as part of a firmware (USER_C_MODULES): types and names in ROM, the program's one state in static memory, where C
// may write it (feagi_micropython.h).
#include "feagi_micropython.h"
#include "feagi_module.h"
#include "feagi_names.h"

#include "py/mphal.h"
#include "py/objexcept.h"
#include "py/objtype.h"

#if !MICROPY_MODULE_BUILTIN_INIT
#error "the module learns of a soft reset from its __init__: set MICROPY_MODULE_BUILTIN_INIT to 1 in mpconfigport.h"
#endif

MP_REGISTER_ROOT_POINTER(mp_obj_t feagi_agent_info);

extern const mp_obj_type_t feagi_state_type, feagi_link_type;
static qstr_short_t feagi_name_qstrs[FEAGI_NAMES];

MP_DEFINE_EXCEPTION(StateError, Exception)
MP_DEFINE_EXCEPTION(AgentNotFound, StateError)
MP_DEFINE_EXCEPTION(AgentAlreadyRegistered, StateError)
MP_DEFINE_EXCEPTION(CapacityError, StateError)
MP_DEFINE_EXCEPTION(AreaNotFound, StateError)
MP_DEFINE_EXCEPTION(NotLockOwner, StateError)
MP_DEFINE_EXCEPTION(PersistenceError, StateError)

#define FEAGI_STATE_TYPE (&feagi_state_type)
#define FEAGI_STATE_ERROR (&mp_type_StateError)
#define FEAGI_AGENT_NOT_FOUND (&mp_type_AgentNotFound)
#define FEAGI_AGENT_ALREADY_REGISTERED (&mp_type_AgentAlreadyRegistered)
#define FEAGI_CAPACITY_ERROR (&mp_type_CapacityError)
#define FEAGI_AREA_NOT_FOUND (&mp_type_AreaNotFound)
#define FEAGI_NOT_LOCK_OWNER (&mp_type_NotLockOwner)
#define FEAGI_AGENT_INFO MP_STATE_VM(feagi_agent_info)
#define FEAGI_TICKS_US() mp_hal_ticks_us()
#ifdef MICROPY_PY_RANDOM_SEED_INIT_FUNC
#define FEAGI_ENTROPY() ((uint32_t)(MICROPY_PY_RANDOM_SEED_INIT_FUNC))
#else
#define FEAGI_ENTROPY() ((uint32_t)mp_hal_ticks_us())
#endif
#define FEAGI_NAME_QSTRS feagi_name_qstrs

#include "feagi_module.c"

// ---- The program's one state

#define JOINED(a, b) a##b
#define OF_PROFILE(name, profile) JOINED(name, profile)

static uint8_t instance_memory[OF_PROFILE(FEAGI_REGION_LEN_, FEAGI_MICROPYTHON_PROFILE)]
    __attribute__((aligned(FEAGI_SECTION_ALIGN_BYTES)));
static uint32_t instance_dirty[OF_PROFILE(FEAGI_DIRTY_WORDS_, FEAGI_MICROPYTHON_PROFILE)];
static state_obj_t instance; // holds no pointer into the heap, which a soft reset empties
static bool instance_is_there;
static bool instance_is_of_c; // C has a pointer to its region

static state_obj_t *the_instance(void) {
    if (!instance_is_there) {
        instance.base.type = &feagi_state_type;
        state_start(&instance, instance_memory, sizeof instance_memory, OF_PROFILE(FEAGI_PROFILE_, FEAGI_MICROPYTHON_PROFILE),
                    feagi_link_mix(FEAGI_ENTROPY(), (uint32_t)mp_hal_ticks_us()));
        instance.dirty = instance_dirty;
        instance_is_there = true;
    }
    return &instance;
}

static mp_obj_t state_instance(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    (void)args;
    return MP_OBJ_FROM_PTR(the_instance());
}

feagi_region_t *feagi_micropython_region(void) {
    instance_is_of_c = true;
    return &the_instance()->region;
}

extern const mp_obj_module_t feagi_state_module;

// The first import since MicroPython started, also after a soft reset: nothing of the program before is left but what C keeps.
static mp_obj_t module_init(void) {
    instance_is_there = instance_is_there && instance_is_of_c;
    instance.manual_time = false;
    FEAGI_AGENT_INFO = MP_OBJ_NULL;
    // In sys.modules, where the next import finds it without calling this.
    mp_map_lookup(&MP_STATE_VM(mp_loaded_modules_dict).map, MP_OBJ_NEW_QSTR(MP_QSTR_feagi_state), MP_MAP_LOOKUP_ADD_IF_NOT_FOUND)
        ->value = MP_OBJ_FROM_PTR(&feagi_state_module);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(module_init_obj, module_init);

// ---- Registration

#define METHOD(name, function) {MP_ROM_QSTR(name), MP_ROM_PTR(&function)},
static MP_DEFINE_CONST_STATICMETHOD_OBJ(state_load_static_obj, MP_ROM_PTR(&state_load_obj));
static const mp_rom_map_elem_t feagi_state_methods[] = {
    FEAGI_METHODS(METHOD){MP_ROM_QSTR(MP_QSTR_load), MP_ROM_PTR(&state_load_static_obj)},
};
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
    {MP_ROM_QSTR(MP_QSTR___init__), MP_ROM_PTR(&module_init_obj)},
    {MP_ROM_QSTR(MP_QSTR_StateManager), MP_ROM_PTR(&feagi_state_type)},
    {MP_ROM_QSTR(MP_QSTR_Link), MP_ROM_PTR(&feagi_link_type)},
    {MP_ROM_QSTR(MP_QSTR_StateError), MP_ROM_PTR(&mp_type_StateError)},
    {MP_ROM_QSTR(MP_QSTR_AgentNotFound), MP_ROM_PTR(&mp_type_AgentNotFound)},
    {MP_ROM_QSTR(MP_QSTR_AgentAlreadyRegistered), MP_ROM_PTR(&mp_type_AgentAlreadyRegistered)},
    {MP_ROM_QSTR(MP_QSTR_CapacityError), MP_ROM_PTR(&mp_type_CapacityError)},
    {MP_ROM_QSTR(MP_QSTR_AreaNotFound), MP_ROM_PTR(&mp_type_AreaNotFound)},
    {MP_ROM_QSTR(MP_QSTR_NotLockOwner), MP_ROM_PTR(&mp_type_NotLockOwner)},
    {MP_ROM_QSTR(MP_QSTR_PersistenceError), MP_ROM_PTR(&mp_type_PersistenceError)},
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
