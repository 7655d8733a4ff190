# Builds the core as WebAssembly modules, for one thread and for several, and host/web/wasm/embedded.js, which has both in it:
#
#     make -f firmware/wasm/wasm.mk [CC="clang-22"]
#
# CC is a clang with wasm-ld beside it, or `PYTHON -m ziglang cc`.

HERE := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
ROOT := $(abspath $(HERE)/../..)
OUT := $(ROOT)/host/web/wasm
CC := clang-22
PYTHON ?= python3

# Pages of 64 KiB. The shared memory is made by JavaScript, which embedded.js tells these; both grow by what a region takes.
INITIAL := 2
SHARED_INITIAL := 10
SHARED_MAXIMUM := 64
bytes_of = $(shell echo $$(($(1) * 65536)))

SOURCES := $(wildcard $(ROOT)/firmware/core/*.c $(HERE)/*.c)
HEADERS := $(wildcard $(ROOT)/firmware/core/*.h $(ROOT)/firmware/port/*.h $(HERE)/*.h)
CFLAGS := -std=c11 -Oz -flto -ffreestanding -mbulk-memory -Wall -Wextra -Werror \
	-I$(ROOT)/firmware/core -I$(ROOT)/firmware/port -I$(HERE)
# Zig takes -Oz for -Os. With this both give the same bytes.
CFLAGS += $(if $(findstring zig,$(CC)),--target=wasm32-freestanding -Xclang -Oz,--target=wasm32)
# The stack that is used is that of a seat (feagi_wasm.h).
LDFLAGS := -nostdlib -Wl,--no-entry,--strip-all,--gc-sections,-z,stack-size=1024,--export=__stack_pointer
THREADS := -DFEAGI_PORT_SHARED=1 -matomics -Wl,--import-memory,--shared-memory

.PHONY: all
all: $(OUT)/embedded.js

$(OUT)/feagi_state.wasm: $(SOURCES) $(HEADERS) $(MAKEFILE_LIST) | $(OUT)
	$(CC) $(CFLAGS) $(SOURCES) $(LDFLAGS) -Wl,--initial-memory=$(call bytes_of,$(INITIAL)) -o $@

$(OUT)/feagi_state_threaded.wasm: $(SOURCES) $(HEADERS) $(MAKEFILE_LIST) | $(OUT)
	$(CC) $(CFLAGS) $(THREADS) $(SOURCES) $(LDFLAGS) -Wl,--initial-memory=$(call bytes_of,$(SHARED_INITIAL)) \
		-Wl,--max-memory=$(call bytes_of,$(SHARED_MAXIMUM)) -o $@

$(OUT)/embedded.js: $(OUT)/feagi_state.wasm $(OUT)/feagi_state_threaded.wasm $(HERE)/embed.py
	$(PYTHON) $(HERE)/embed.py $(SHARED_INITIAL) $(SHARED_MAXIMUM) $(OUT)

$(OUT):
	mkdir -p $@
