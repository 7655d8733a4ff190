// Handlers of cortexm.c for a board's vector table.
#ifndef QEMU_COMMON_CORTEXM_H
#define QEMU_COMMON_CORTEXM_H

#include <stdint.h>

// Bottom of the descending stack; defined by the linker script.
extern uint32_t _estack;

void Reset_Handler(void);

// Every exception and interrupt the board does not use: reports and stops QEMU.
void Default_Handler(void);

#endif
