# Builds the example for the emulated board:
#
#     make -f firmware/freertos/freertos.mk FREERTOS_DIR=<FreeRTOS kernel source>  ->  build/freertos/firmware.elf
#
# MAIN is another main.c, DEFINES are flags for it, PORT is another folder than firmware/port.

HERE := $(patsubst %/,%,$(dir $(abspath $(lastword $(MAKEFILE_LIST)))))
ROOT := $(abspath $(HERE)/../..)
CORE := $(ROOT)/firmware/core
PORT ?= $(ROOT)/firmware/port
MAIN ?= $(HERE)/main.c
BUILD ?= $(ROOT)/build/freertos
CROSS ?= arm-none-eabi-

ifeq ($(wildcard $(FREERTOS_DIR)/tasks.c),)
$(error FREERTOS_DIR must name FreeRTOS's kernel source, where tasks.c is; it is "$(FREERTOS_DIR)")
endif
FREERTOS_PORT := $(FREERTOS_DIR)/portable/GCC/ARM_CM3

# What is for hosts alone is left out.
FEAGI := $(filter-out %/feagi_mirror.c %/feagi_shared.c,$(wildcard $(CORE)/*.c))
EXAMPLE := $(MAIN) $(HERE)/link_task.c $(HERE)/board_mps2.c
FREERTOS := $(FREERTOS_DIR)/tasks.c $(FREERTOS_DIR)/list.c $(FREERTOS_DIR)/queue.c $(FREERTOS_PORT)/port.c

CFLAGS := -std=c11 -Os -g -mcpu=cortex-m3 -mthumb -ffunction-sections
FEAGI_FLAGS := -Wall -Wextra -Werror $(DEFINES) -I$(CORE) -I$(PORT)
FREERTOS_FLAGS := -I$(HERE) -isystem $(FREERTOS_DIR)/include -isystem $(FREERTOS_PORT)
LDFLAGS := -mcpu=cortex-m3 -mthumb -nostartfiles -Wl,--gc-sections -L$(ROOT)/boards -Tqemu_common/mps2.ld

OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(notdir $(FEAGI) $(EXAMPLE) $(FREERTOS)))
HEADERS := $(wildcard $(CORE)/*.h $(PORT)/*.h $(HERE)/*.h)
vpath %.c $(CORE) $(dir $(MAIN)) $(HERE) $(FREERTOS_DIR) $(FREERTOS_PORT)

$(BUILD)/firmware.elf: $(OBJECTS)
	$(CROSS)gcc $(LDFLAGS) $^ -o $@

$(BUILD)/%.o: %.c $(HEADERS) $(MAKEFILE_LIST) | $(BUILD)
	$(CROSS)gcc $(CFLAGS) $(FEAGI_FLAGS) $(FREERTOS_FLAGS) -c $< -o $@

# FreeRTOS as it is, whatever it thinks of warnings.
$(patsubst %.c,$(BUILD)/%.o,$(notdir $(FREERTOS))): $(BUILD)/%.o: %.c $(HEADERS) $(MAKEFILE_LIST) | $(BUILD)
	$(CROSS)gcc $(CFLAGS) $(FREERTOS_FLAGS) -c $< -o $@

$(BUILD):
	mkdir -p $@
