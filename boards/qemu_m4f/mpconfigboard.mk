# Emulated Cortex-M4 with its single-precision FPU: ARM's MPS2 board with the AN386 image.
QEMU_MACHINE = mps2-an386

CFLAGS += -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard
CFLAGS += -DMICROPY_HW_MCU_NAME='"cortex-m4"'
MPY_CROSS_FLAGS += -march=armv7emsp

include $(BOARD_DIR)/../qemu_common/mps2.mk
