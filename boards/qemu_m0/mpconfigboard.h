// Emulated Cortex-M0 board: sizes, then the configuration all emulated boards share.

#define QEMU_SERIAL_PORTS (1)          // the REPL; the machine has no other
#define QEMU_SERIAL_RXBUF_MAX (4096)   // bytes it can hold
#define QEMU_STACK_LIMIT (32768)       // as deep as Python code may recurse
#define QEMU_RAMDISK_ADDR (0x20040000) // behind the 256 KiB of the linker script
#define QEMU_RAMDISK_SIZE (1024 * 1024)

#include "qemu_common/mpconfig_common.h"

// Native code of the Thumb-1 that this core has.
#define MICROPY_EMIT_THUMB_ARMV7M (0)
#define MICROPY_EMIT_INLINE_THUMB_FLOAT (0)
