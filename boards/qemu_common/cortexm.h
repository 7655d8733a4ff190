// Between cortexm.c and the hardware code of its boards.
#ifndef QEMU_COMMON_CORTEXM_H
#define QEMU_COMMON_CORTEXM_H

#include <stdint.h>

// Bottom of the descending stack; defined by the linker script.
extern uint32_t _estack;

void Reset_Handler(void);

// Provided by the board's hardware code: a counter of microseconds, 0 at soc_init(), that wraps after 32 bits.
uint32_t cortexm_counter_us(void);

// Every exception and interrupt the board does not use: reports and stops QEMU.
void Default_Handler(void);

#endif
