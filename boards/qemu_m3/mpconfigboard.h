// Emulated Cortex-M3 board.

#include "qemu_common/mpconfig_mps2.h"
