# Emulated RISC-V core with the instructions of an ESP32-C3: QEMU's machine "virt".
QEMU_ARCH = riscv32
QEMU_MACHINE = virt

# By the ISA's version 2.2 access to control registers belongs to the base: GCC 12
# finds no C library for names that spell it out.
RV32_ARCH = rv32imc
AFLAGS += -misa-spec=2.2
CFLAGS += -DMICROPY_HW_MCU_NAME='"rv32imc"'
MPY_CROSS_FLAGS += -march=rv32imc
MICROPY_HEAP_SIZE ?= 262144

LDSCRIPT = $(abspath $(BOARD_DIR)/../qemu_common/virt.ld)
LDFLAGS += -nostartfiles
# The port's own start-up code, which it adds, is not used.
override SRC_BOARD_O = shared/runtime/gchelper_native.o shared/runtime/gchelper_rv32i.o
BOARD_SRC_C = qemu_common/riscv.c qemu_common/virt.c

include $(BOARD_DIR)/../qemu_common/qemu_common.mk
