# Emulated Cortex-M3: ARM's MPS2 board with the AN385 image.
QEMU_MACHINE = mps2-an385

CFLAGS += -mthumb -mcpu=cortex-m3 -mfloat-abi=soft
CFLAGS += -DMICROPY_HW_MCU_NAME='"cortex-m3"'
MPY_CROSS_FLAGS += -march=armv7m

include $(BOARD_DIR)/../qemu_common/mps2.mk
