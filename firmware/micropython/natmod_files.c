// The half in C of feagi_files.mpy: a native module of its own, since few programs save their state.
#include "feagi_images.h"
#include "natmod_rv32.h"

__attribute__((externally_visible)) mp_obj_t mpy_init(mp_obj_fun_bc_t *self, size_t n_args, size_t n_kw, mp_obj_t *args) {
    MP_DYNRUNTIME_INIT_ENTRY(void) n_args;
    (void)n_kw;
    (void)args;
#define STORE(name, function) mp_store_global(name, MP_OBJ_FROM_PTR(&function));
    FEAGI_IMAGES(STORE)
    MP_DYNRUNTIME_INIT_EXIT
}
