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

#endif
