# Emulated Cortex-M7 with its double-precision FPU: ARM's MPS2 board with the AN500 image.
QEMU_MACHINE = mps2-an500

CFLAGS += -mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard
CFLAGS += -DMICROPY_HW_MCU_NAME='"cortex-m7"'
MPY_CROSS_FLAGS += -march=armv7emdp

# The port takes the library for single precision whatever MicroPython's floats are.
override SRC_LIB_LIBM_C = $(SRC_LIB_LIBM_DBL_C)
override SRC_LIB_LIBM_SQRT_SW_C = $(SRC_LIB_LIBM_DBL_SQRT_HW_C)

include $(BOARD_DIR)/../qemu_common/mps2.mk
