# Shared build settings of the emulated boards, included at the end of each
# board's mpconfigboard.mk.  The board sets before it:
#
#   QEMU_ARCH, QEMU_MACHINE, MPY_CROSS_FLAGS, LDSCRIPT, SRC_BOARD_O
#   BOARD_SRC_C           the files of qemu_common that know its hardware
#   MICROPY_HEAP_SIZE     bytes, as the port's makefile wants it

QEMU_BOARDS_DIR := $(abspath $(BOARD_DIR)/..)

# Python's bytecode caches would be the only thing written into the MicroPython
# tree, which may be a read-only checkout.
export PYTHONDONTWRITEBYTECODE := 1

# mpconfigboard.h stands in for the port's configuration header and includes it.
CFLAGS += -DMP_CONFIGFILE='"mpconfigboard.h"' -I$(abspath $(BOARD_DIR)) -I$(QEMU_BOARDS_DIR)

LDFLAGS += -L$(QEMU_BOARDS_DIR)

# The port's own main, UART and HAL poll, never sleep, and know no file system,
# so the list of sources is ours.  `override` makes make ignore the port's later
# additions to it.
override SRC_C := \
	$(BOARD_SRC_C) \
	qemu_common/entropy.c \
	qemu_common/hal.c \
	qemu_common/machine_timer.c \
	qemu_common/main.c \
	qemu_common/ramdisk.c \
	qemu_common/serial.c \
	shared/libc/string0.c \
	shared/readline/readline.c \
	shared/runtime/interrupt_char.c \
	shared/runtime/pyexec.c \
	shared/runtime/stdout_helpers.c \
	shared/runtime/sys_stdio_mphal.c \
	shared/timeutils/timeutils.c \

vpath %.c $(QEMU_BOARDS_DIR)

# Stricter warnings for our files than MicroPython's own pass.  Parameters go
# unused where MicroPython dictates a function's signature.
$(BUILD)/qemu_common/%.o: CFLAGS += -Wextra -Wno-unused-parameter

MICROPY_VFS_FAT = 1

# asyncio's Python half is always frozen in.  A manifest of the caller's own is
# respected and should then include ours: include("$(BOARD_DIR)/../qemu_common/manifest.py")
ifeq ($(strip $(FROZEN_MANIFEST)),)
override FROZEN_MANIFEST := $(QEMU_BOARDS_DIR)/qemu_common/manifest.py
endif

# MicroPython refuses to freeze anything without the micropython-lib submodule,
# of which our manifest needs nothing; it looks for a README.md there.
ifeq ($(wildcard $(MPY_LIB_DIR)/README.md),)
MPY_LIB_DIR := $(QEMU_BOARDS_DIR)/qemu_common
endif
