// What the example needs of a board. board_mps2.c is that for the emulated one; yours has it from its vendor's library.
#ifndef BOARD_H
#define BOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "FreeRTOS.h"
#include "task.h"

// Calls `handler` every `period_us` from a timer interrupt that is more urgent than FreeRTOS's.
void board_timer_start(uint32_t period_us, void (*handler)(void));

// Turns the serial port on. `reader` is notified whenever bytes have arrived.
void board_uart_start(TaskHandle_t reader);

// Takes bytes that arrived, up to `most`; returns how many. Never waits. For one task.
size_t board_uart_read(uint8_t *data, size_t most);

// Sends as many of these bytes as there is room for; returns how many. Never waits. For one task.
size_t board_uart_write(const uint8_t *data, size_t len_bytes);

// A number that differs from start to start.
uint32_t board_entropy(void);

#endif
