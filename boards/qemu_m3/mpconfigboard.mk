# Emulated Cortex-M3: ARM's MPS2 board with the AN385 image.
QEMU_ARCH = arm
QEMU_MACHINE = mps2-an385

CFLAGS += -mthumb -mcpu=cortex-m3 -mfloat-abi=soft
CFLAGS += -DMICROPY_HW_MCU_NAME='"cortex-m3"'
MPY_CROSS_FLAGS += -march=armv7m
MICROPY_HEAP_SIZE ?= 262144

LDSCRIPT = $(abspath $(BOARD_DIR)/../qemu_common/mps2.ld)
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb2.o
BOARD_SRC_C = qemu_common/cortexm.c qemu_common/mps2.c shared/runtime/semihosting_arm.c

include $(BOARD_DIR)/../qemu_common/qemu_common.mk
