// The module as part of a firmware (USER_C_MODULES), with _feagi_state.py frozen beside it. The program's one state is in static
// memory, where C may write it (feagi_micropython.h).
#include "feagi_micropython.h"

#include "py/mphal.h"

#include "feagi_images.h"
#include "feagi_module.h"

#if !MICROPY_MODULE_BUILTIN_INIT || !MICROPY_MODULE_GETATTR
#error                                                                                                                           \
    "the module is put together at its import: set MICROPY_MODULE_BUILTIN_INIT and MICROPY_MODULE_GETATTR to 1 in mpconfigport.h"
#endif

feagi_module_t feagi_module_memory;

#define NAME_OF(name, qstr, ...) qstr,
const qstr_short_t feagi_names[] = {FEAGI_NAMES_QSTRS, FEAGI_METHODS(NAME_OF) FEAGI_WORDS(NAME_OF)};
_Static_assert(sizeof feagi_names / sizeof *feagi_names == FEAGI_NAME_COUNT, "all names have an index");

mp_uint_t feagi_module_ticks_us(void) {
    return mp_hal_ticks_us();
}

uint32_t feagi_module_entropy(void) {
#ifdef MICROPY_PY_RANDOM_SEED_INIT_FUNC
    return (uint32_t)(MICROPY_PY_RANDOM_SEED_INIT_FUNC);
#else
    return (uint32_t)mp_hal_ticks_us();
#endif
}

// ---- The program's one state

#define JOINED(a, b) a##b
#define OF_PROFILE(name, profile) JOINED(name, profile)

static uint8_t instance_memory[OF_PROFILE(FEAGI_REGION_LEN_, FEAGI_MICROPYTHON_PROFILE)]
    __attribute__((aligned(FEAGI_SECTION_ALIGN_BYTES)));
static uint32_t instance_dirty[OF_PROFILE(FEAGI_DIRTY_WORDS_, FEAGI_MICROPYTHON_PROFILE)];
static feagi_manager_t instance; // holds no pointer into the heap, which a soft reset empties
static bool instance_is_there;
static bool instance_is_of_c; // C has a pointer to its region

feagi_manager_t *feagi_module_instance(void) {
    if (!instance_is_there) {
        feagi_manager_start(&instance, instance_memory, sizeof instance_memory,
                            OF_PROFILE(FEAGI_PROFILE_, FEAGI_MICROPYTHON_PROFILE),
                            feagi_link_mix(feagi_module_entropy(), (uint32_t)mp_hal_ticks_us()));
        instance.dirty = instance_dirty;
        instance_is_there = true;
    }
    return &instance;
}

feagi_region_t *feagi_micropython_region(void) {
    instance_is_of_c = true;
    return &feagi_module_instance()->region;
}

// ---- The module

// _feagi_state, which holds all of Python's that the module's memory refers to: kept from the collector here, since a program may
// empty sys.modules.
MP_REGISTER_ROOT_POINTER(mp_obj_t feagi_state_half);

// __getattr__(name): all but what the table below has is the half's.
static mp_obj_t get(mp_obj_t name) {
    return mp_load_attr(MP_STATE_VM(feagi_state_half), MP_OBJ_QSTR_VALUE(name));
}
static MP_DEFINE_CONST_FUN_OBJ_1(get_obj, get);

extern const mp_obj_module_t feagi_state_module;

// __init__(), at the first import since MicroPython started, also after a soft reset: nothing of the program before is left but
// what C keeps.
static mp_obj_t start(void) {
    instance_is_there = instance_is_there && instance_is_of_c;
    instance.manual_time = false;
    const mp_obj_t half = mp_import_name(MP_QSTR__feagi_state, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
    MP_STATE_VM(feagi_state_half) = half;
    size_t count;
    mp_obj_t *helpers;
    mp_obj_get_array(mp_load_attr(half, MP_QSTR__for_c), &count, &helpers);
    (void)feagi_start(count, helpers);
    // In sys.modules, where the next import finds it without calling this.
    mp_obj_dict_store(MP_OBJ_FROM_PTR(&MP_STATE_VM(mp_loaded_modules_dict)), MP_OBJ_NEW_QSTR(MP_QSTR_feagi_state),
                      MP_OBJ_FROM_PTR(&feagi_state_module));
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_0(start_obj, start);

// A module of C is found before one of the same name in the file system; the half's name nobody gives to a file.
static const mp_rom_map_elem_t globals[] = {
    {MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR_feagi_state)},
    {MP_ROM_QSTR(MP_QSTR___init__), MP_ROM_PTR(&start_obj)},
    {MP_ROM_QSTR(MP_QSTR___getattr__), MP_ROM_PTR(&get_obj)},
};
static MP_DEFINE_CONST_DICT(globals_dict, globals);

const mp_obj_module_t feagi_state_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&globals_dict,
};
MP_REGISTER_MODULE(MP_QSTR_feagi_state, feagi_state_module);

// ---- What feagi_files.py has in C

#define ROW(name, function) {MP_ROM_QSTR(name), MP_ROM_PTR(&function)},
static const mp_rom_map_elem_t images[] = {{MP_ROM_QSTR(MP_QSTR___name__), MP_ROM_QSTR(MP_QSTR__feagi_images)},
                                           FEAGI_IMAGES(ROW)};
static MP_DEFINE_CONST_DICT(images_dict, images);

const mp_obj_module_t feagi_images_module = {
    .base = {&mp_type_module},
    .globals = (mp_obj_dict_t *)&images_dict,
};
MP_REGISTER_MODULE(MP_QSTR__feagi_images, feagi_images_module);
