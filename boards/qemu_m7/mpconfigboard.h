// Emulated Cortex-M7 board. Floats are doubles, as in MicroPython for the STM32H7: native modules for armv7emdp
// exchange them with the firmware as such.

#include "qemu_common/mpconfig_mps2.h"

#undef MICROPY_FLOAT_IMPL
#define MICROPY_FLOAT_IMPL (MICROPY_FLOAT_IMPL_DOUBLE)
