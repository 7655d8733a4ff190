// Emulated Cortex-M4F board.

#include "qemu_common/mpconfig_mps2.h"
