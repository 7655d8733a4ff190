// Configuration of ARM's MPS2 boards: sizes, then what all emulated boards share.

#define QEMU_SERIAL_PORTS (2)          // the REPL and UART(1)
#define QEMU_SERIAL_RXBUF_MAX (16384)  // bytes each can hold
#define QEMU_STACK_LIMIT (65536)       // as deep as Python code may recurse
#define QEMU_RAMDISK_ADDR (0x20000000) // the board's second SRAM, of 4 MiB
#define QEMU_RAMDISK_SIZE (1024 * 1024)

#include "qemu_common/mpconfig_common.h"
