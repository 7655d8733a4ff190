// Emulated RISC-V board: sizes, then the configuration all emulated boards share.

#define QEMU_SERIAL_PORTS (2)          // the REPL and UART(1)
#define QEMU_SERIAL_RXBUF_MAX (16384)  // bytes each can hold
#define QEMU_STACK_LIMIT (65536)       // as deep as Python code may recurse
#define QEMU_RAMDISK_ADDR (0x80400000) // behind the 4 MiB of the linker script
#define QEMU_RAMDISK_SIZE (1024 * 1024)

#include "qemu_common/mpconfig_common.h"
