# Builds the native module for one architecture:
#
#     make -f firmware/micropython/natmod.mk ARCH=armv7m MPY_DIR=<micropython source>
#     ->  build/mpy/armv7m_6.3/feagi_state.mpy, beside it feagi_files.mpy, which it imports when a state is saved to or restored
#         from a file, and package.json, with which mip installs both
#
# It calls MicroPython's own mpy_ld.py and mpy-tool.py; mpy-cross and a Python with pyelftools come from PATH.

HERE := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
ROOT := $(abspath $(HERE)/../..)
CORE := $(ROOT)/firmware/core
ABI := 6.3

ARCH ?= x64
PYTHON ?= python3
MPY_CROSS ?= mpy-cross
BUILD ?= $(ROOT)/build/natmod/$(ARCH)
OUT ?= $(ROOT)/build/mpy/$(ARCH)_$(ABI)

ifeq ($(wildcard $(MPY_DIR)/py/dynruntime.h),)
$(error MPY_DIR must name the top of a MicroPython source tree, 1.23 or later; it is "$(MPY_DIR)")
endif

# An architecture: its compiler's prefix, its flags, and the floats of MicroPython on it, all as MicroPython's dynruntime.mk has
# them but for what is said here.
CROSS_x64 :=
FLAGS_x64 := -fno-stack-protector -fcf-protection=none
FLOAT_x64 := DOUBLE
# Jumps by a table are calls of libgcc on the M0.
CROSS_armv6m := arm-none-eabi-
FLAGS_armv6m := -mthumb -mcpu=cortex-m0 -fno-jump-tables
FLOAT_armv6m := NONE
CROSS_armv7m := arm-none-eabi-
FLAGS_armv7m := -mthumb -mcpu=cortex-m3
FLOAT_armv7m := NONE
CROSS_armv7emsp := arm-none-eabi-
FLAGS_armv7emsp := -mthumb -mcpu=cortex-m4 -mfpu=fpv4-sp-d16 -mfloat-abi=hard
FLOAT_armv7emsp := FLOAT
CROSS_armv7emdp := arm-none-eabi-
FLAGS_armv7emdp := -mthumb -mcpu=cortex-m7 -mfpu=fpv5-d16 -mfloat-abi=hard
FLOAT_armv7emdp := DOUBLE
# Without the A extension, which an ESP32-C3 does not have; MicroPython's own makefile would use it.
CROSS_rv32imc := riscv64-unknown-elf-
FLAGS_rv32imc := -march=rv32imc_zicsr -mabi=ilp32 -mno-relax -specs=picolibc.specs
FLOAT_rv32imc := NONE
# mpy_ld.py takes what is at the same place of equally named sections of two files for one thing.
CROSS_xtensawin := xtensa-esp32-elf-
FLAGS_xtensawin := -mlongcalls -fdata-sections
FLOAT_xtensawin := FLOAT
ifeq ($(FLAGS_$(ARCH)),)
$(error ARCH is '$(ARCH)', it should be one of: $(sort $(patsubst FLAGS_%,%,$(filter FLAGS_%,$(.VARIABLES)))))
endif
CC := $(CROSS_$(ARCH))gcc
ifeq ($(ARCH)$(shell command -v $(CC)),xtensawin)
CC_TOOL := $(HERE)/xtensawin_gcc.py
CC := $(PYTHON) $(CC_TOOL)
endif

# What is for hosts alone is left out.
SOURCES := $(HERE)/natmod.c $(HERE)/feagi_names.c $(filter-out %/feagi_mirror.c %/feagi_shared.c,$(wildcard $(CORE)/*.c))
# They are compiled as one: the compiler sees every call of every function, and leaves out what nobody calls.
OBJECT := $(BUILD)/native.o
HEADERS := $(wildcard $(HERE)/*.h $(HERE)/feagi_module.c $(CORE)/*.h $(ROOT)/firmware/port/*.h)
CONFIG := $(BUILD)/feagi_state.config.h

# C99 with GNU atomics. -fno-tree-loop-distribute-patterns keeps byte loops from becoming calls of memcpy and memset.
CFLAGS := -std=c99 -Os -Wall -Wextra -Werror -Wno-unused-parameter -DNDEBUG -DNO_QSTR -DMICROPY_ENABLE_DYNRUNTIME \
	-DMP_CONFIGFILE='<$(CONFIG)>' -DMICROPY_FLOAT_IMPL=MICROPY_FLOAT_IMPL_$(FLOAT_$(ARCH)) -fpic -fno-common -U_FORTIFY_SOURCE \
	-ffreestanding -fno-tree-loop-distribute-patterns -fwhole-program -I$(HERE) -I$(CORE) -I$(ROOT)/firmware/port -isystem $(MPY_DIR) $(FLAGS_$(ARCH))

.DELETE_ON_ERROR:
.PHONY: all
all: $(OUT)/feagi_state.mpy $(OUT)/feagi_files.mpy $(OUT)/package.json

$(OUT)/feagi_state.mpy: $(BUILD)/native.mpy $(BUILD)/enums.mpy | $(OUT)
	$(PYTHON) $(MPY_DIR)/tools/mpy-tool.py --merge -o $@ $^

$(OUT)/feagi_files.mpy: $(ROOT)/firmware/python/feagi_files.py | $(OUT)
	$(MPY_CROSS) -s feagi_files.py -o $@ $<

$(OUT)/package.json: $(ROOT)/host/pyproject.toml $(firstword $(MAKEFILE_LIST)) | $(OUT)
	printf '{"version": "%s", "urls": [["feagi_state.mpy", "feagi_state.mpy"], ["feagi_files.mpy", "feagi_files.mpy"]]}\n' "$$(sed -n 's/^version = "\(.*\)"/\1/p' $<)" >$@

$(BUILD)/native.mpy: $(OBJECT)
	$(PYTHON) $(MPY_DIR)/tools/mpy_ld.py --arch $(ARCH) --qstrs $(CONFIG) -o $@ $^ >$(BUILD)/native.sizes

$(BUILD)/enums.mpy: $(HERE)/enums.py | $(BUILD)
	$(MPY_CROSS) -march=$(ARCH) -s feagi_state.py -o $@ $<

# The names of the sources, numbered for this module.
$(CONFIG): $(HERE)/natmod.c $(HERE)/feagi_module.c $(HERE)/feagi_module.h $(HERE)/feagi_names.c | $(BUILD)
	$(PYTHON) $(MPY_DIR)/tools/mpy_ld.py --arch $(ARCH) --preprocess -o $@ $^

$(OBJECT): $(SOURCES) $(CONFIG) $(HEADERS) $(CC_TOOL) $(MAKEFILE_LIST) | $(BUILD)
	printf '#include "%s"\n' $(SOURCES) >$(@:.o=.c)
	$(CC) $(CFLAGS) -c $(@:.o=.c) -o $@

$(BUILD) $(OUT):
	mkdir -p $@
