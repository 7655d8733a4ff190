// Configuration shared by the emulated boards, on top of the qemu port's own.
// A board's mpconfigboard.h defines its QEMU_* values and then includes this.

#include "mpconfigport.h"

// What the port switches off because its HAL cannot do it, and ours can.

#undef MICROPY_PY_ASYNCIO
#define MICROPY_PY_ASYNCIO (1)
#undef MICROPY_PY_SELECT
#define MICROPY_PY_SELECT (1)
#undef MICROPY_PY_SYS_STDIO_BUFFER
#define MICROPY_PY_SYS_STDIO_BUFFER (1)
#undef MICROPY_PY_TIME
#define MICROPY_PY_TIME (1)
#define MICROPY_PY_TIME_TIME_TIME_NS (1)
#define MICROPY_PY_TIME_GMTIME_LOCALTIME_MKTIME (1)
#define MICROPY_PY_TIME_INCLUDEFILE "qemu_common/modtime.c"

// mpremote's `mount` needs io.IOBase, which later versions of the port leave out.
#undef MICROPY_PY_IO_IOBASE
#define MICROPY_PY_IO_IOBASE (1)

#define MICROPY_PY_OS_UNAME (1)
#define MICROPY_PY_OS_URANDOM (1)
#define MICROPY_PY_OS_INCLUDEFILE "qemu_common/modos.c"
#define MICROPY_PY_RANDOM_SEED_INIT_FUNC (qemu_entropy())

// machine: the peripherals a program for a real board would use.

#undef MICROPY_PY_MACHINE_INCLUDEFILE
#define MICROPY_PY_MACHINE_INCLUDEFILE "qemu_common/modmachine.c"
#define MICROPY_PY_MACHINE_BARE_METAL_FUNCS (1)
#define MICROPY_PY_MACHINE_DISABLE_IRQ_ENABLE_IRQ (1)
#define MICROPY_PY_MACHINE_MEMX (1)
#define MICROPY_PY_MACHINE_UART (QEMU_SERIAL_PORTS > 1)
#define MICROPY_PY_MACHINE_UART_INCLUDEFILE "qemu_common/machine_uart.c"

#define MICROPY_ENABLE_SCHEDULER (1)
#define MICROPY_SCHEDULER_DEPTH (8)
#define MICROPY_KBD_EXCEPTION (1)

// No board has a read-only file system in flash.
#undef MICROPY_VFS_ROM_IOCTL
#define MICROPY_VFS_ROM_IOCTL (0)

// The FAT file system of the RAM disk: long names and relative paths.
#define MICROPY_FATFS_ENABLE_LFN (1)
#define MICROPY_FATFS_RPATH (2)

#include <stdint.h>

uint32_t qemu_irq_disable(void);
void qemu_irq_restore(uint32_t state);
void qemu_wait_for_interrupt(void);
uint32_t qemu_entropy(void);

#define MICROPY_BEGIN_ATOMIC_SECTION() qemu_irq_disable()
#define MICROPY_END_ATOMIC_SECTION(state) qemu_irq_restore(state)

// The tick interrupt ends every wait after a millisecond, so the timeout that
// MicroPython passes need not be programmed.
#define MICROPY_INTERNAL_WFE(timeout_ms) qemu_wait_for_interrupt()
