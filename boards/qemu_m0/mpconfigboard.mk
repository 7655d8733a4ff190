# Emulated Cortex-M0: the nRF51 of the micro:bit.
QEMU_ARCH = arm
QEMU_MACHINE = microbit

CFLAGS += -mthumb -mcpu=cortex-m0 -mfloat-abi=soft
CFLAGS += -DMICROPY_HW_MCU_NAME='"cortex-m0"'
MPY_CROSS_FLAGS += -march=armv6m
MICROPY_HEAP_SIZE ?= 196608

LDSCRIPT = $(abspath $(BOARD_DIR)/../qemu_common/nrf51.ld)
SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_thumb1.o
BOARD_SRC_C = qemu_common/cortexm.c qemu_common/nrf51.c shared/runtime/semihosting_arm.c

include $(BOARD_DIR)/../qemu_common/qemu_common.mk
