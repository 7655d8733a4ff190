// The module as a native .mpy. Such a module has no initialised data. Uninitialised globals are one block on the heap, which the
// collector scans for as long as the module is loaded.
#include "feagi_module.h"
#include "natmod_rv32.h"

// The linker wants these names, although nobody else does.
#define LINKED __attribute__((externally_visible))

LINKED feagi_module_t feagi_module_memory;
LINKED feagi_manager_t *feagi_instance;

// There is no function of the HAL that a native module could call: the clock is the interpreter's.
mp_uint_t feagi_module_ticks_us(void) {
    return (mp_uint_t)mp_obj_get_int(mp_call_function_n_kw(feagi_module()->helpers[FEAGI_HELPER_TICKS_US], 0, 0, NULL));
}

uint32_t feagi_module_entropy(void) {
    return (uint32_t)feagi_module_ticks_us();
}

feagi_manager_t *feagi_module_instance(void) {
    if (!feagi_instance) {
        feagi_instance = feagi_manager_new(FEAGI_PROFILE_MICRO, 0);
    }
    return feagi_instance;
}

static MP_DEFINE_CONST_FUN_OBJ_VAR(start_obj, FEAGI_HELPER_COUNT, feagi_start);

// Runs before _feagi_state.py, which is in the same file.
LINKED mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY(void) n_args;
    (void)n_kw;
    (void)args;
    mp_store_global(feagi_name(FEAGI_NAME_START), MP_OBJ_FROM_PTR(&start_obj));
    MP_DYNRUNTIME_INIT_EXIT
}
