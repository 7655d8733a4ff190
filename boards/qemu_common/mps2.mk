# Build settings of ARM's MPS2 boards, included at the end of each one's
# mpconfigboard.mk.  The board sets before it QEMU_MACHINE, MPY_CROSS_FLAGS and,
# in CFLAGS, its core.

QEMU_ARCH = arm

MICROPY_HEAP_SIZE ?= 262144

LDSCRIPT = $(abspath $(BOARD_DIR)/../qemu_common/mps2.ld)
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
BOARD_SRC_C = qemu_common/cortexm.c qemu_common/mps2.c shared/runtime/semihosting_arm.c

include $(BOARD_DIR)/../qemu_common/qemu_common.mk
