# Frozen into every emulated board; see qemu_common.mk.
include("$(MPY_DIR)/extmod/asyncio")
