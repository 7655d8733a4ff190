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
$(error MPY_DIR must name the top of a MicroPython source tree, 1.25 or later (1.23 for x64 and the armv7s); it is "$(MPY_DIR)")
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
# Without the A extension, which an ESP32-C3 does not have; MicroPython's own makefile would use it. Functions save their registers
# by calls of libgcc.
CROSS_rv32imc := riscv64-unknown-elf-
FLAGS_rv32imc := -march=rv32imc_zicsr -mabi=ilp32 -mno-relax -msave-restore -specs=picolibc.specs
LIBS_rv32imc = --libs $(shell $(CC) -march=rv32imac -mabi=ilp32 -print-libgcc-file-name)
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
CORE_SOURCES := $(filter-out %/feagi_mirror.c %/feagi_shared.c,$(wildcard $(CORE)/*.c))
# Two modules: feagi_state, and feagi_files, which it imports to save and restore. Each has a half in C and one in Python.
SOURCES_feagi_state := $(HERE)/natmod.c $(addprefix $(HERE)/feagi_,manager.c methods.c server.c start.c values.c) $(CORE_SOURCES)
SOURCES_feagi_files := $(HERE)/natmod_files.c $(HERE)/feagi_images.c $(CORE_SOURCES)
# Where the names of a module are, in the order in which they are numbered.
NAMES_feagi_state := $(HERE)/feagi_names.h $(HERE)/feagi_module.h
NAMES_feagi_files := $(HERE)/feagi_images.h
PYTHON_feagi_state := $(HERE)/_feagi_state.py
PYTHON_feagi_files := $(ROOT)/firmware/python/feagi_files.py
MODULES := feagi_state feagi_files
HEADERS := $(wildcard $(HERE)/*.h $(CORE)/*.h $(ROOT)/firmware/port/*.h)

# C99 with GNU atomics. -fno-tree-loop-distribute-patterns keeps byte loops from becoming calls of memcpy and memset. What SMALLER
# switches off makes code longer on each of these CPUs, with -Os as well (gcc 12).
SMALLER := -fno-caller-saves -fno-move-loop-invariants -fno-section-anchors -fno-tree-dominator-opts -fno-tree-forwprop -fno-tree-loop-im
CFLAGS := -std=c99 -Os $(SMALLER) -Wall -Wextra -Werror -Wno-unused-parameter -DNDEBUG -DNO_QSTR -DMICROPY_ENABLE_DYNRUNTIME \
	-DMICROPY_FLOAT_IMPL=MICROPY_FLOAT_IMPL_$(FLOAT_$(ARCH)) -fpic -fno-common -U_FORTIFY_SOURCE -ffreestanding \
	-fno-tree-loop-distribute-patterns -fwhole-program -I$(HERE) -I$(CORE) -I$(ROOT)/firmware/port -isystem $(MPY_DIR) $(FLAGS_$(ARCH))

.DELETE_ON_ERROR:
.SECONDEXPANSION:
.SECONDARY:
.PHONY: all
all: $(MODULES:%=$(OUT)/%.mpy) $(OUT)/package.json

# The half in C runs first.
$(MODULES:%=$(OUT)/%.mpy): $(OUT)/%.mpy: $(BUILD)/%/python.mpy $(BUILD)/%/native.mpy | $(OUT)
	$(PYTHON) $(MPY_DIR)/tools/mpy-tool.py --merge -o $@ $^

$(OUT)/package.json: $(ROOT)/host/pyproject.toml $(firstword $(MAKEFILE_LIST)) | $(OUT)
	printf '{"version": "%s", "urls": [["feagi_state.mpy", "feagi_state.mpy"], ["feagi_files.mpy", "feagi_files.mpy"]]}\n' "$$(sed -n 's/^version = "\(.*\)"/\1/p' $<)" >$@

$(BUILD)/%/python.mpy: $$(PYTHON_$$*) | $(BUILD)/%
	$(MPY_CROSS) -march=$(ARCH) -s $*.py -o $@ $<

$(BUILD)/%/native.mpy: $(BUILD)/%/native.o
	cd $(BUILD) && $(PYTHON) $(MPY_DIR)/tools/mpy_ld.py --arch $(ARCH) --qstrs $(BUILD)/$*/config.h $(LIBS_$(ARCH)) -o $@ $< >$(BUILD)/$*/native.sizes || { cat $(BUILD)/$*/native.sizes; false; }

# The names of the sources, numbered for this module.
$(BUILD)/%/config.h: $$(NAMES_$$*) $(HERE)/natmod_names.py | $(BUILD)/%
	$(PYTHON) $(MPY_DIR)/tools/mpy_ld.py --arch $(ARCH) --preprocess -o $@ $(NAMES_$*)
	$(PYTHON) $(HERE)/natmod_names.py $@ $(NAMES_$*)

# All is compiled as one: the compiler sees every call of every function, and leaves out what nobody calls.
$(BUILD)/%/native.o: $$(SOURCES_$$*) $(BUILD)/%/config.h $(HEADERS) $(CC_TOOL) $(MAKEFILE_LIST)
	printf '#include "%s"\n' $(SOURCES_$*) >$(@:.o=.c)
	$(CC) $(CFLAGS) -DMP_CONFIGFILE='<$(BUILD)/$*/config.h>' -c $(@:.o=.c) -o $@

$(OUT) $(MODULES:%=$(BUILD)/%):
	mkdir -p $@
