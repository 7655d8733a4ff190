// RISC-V with 32 bits, with the A extension or without it (ESP32-C3, C6): one core; the other writers are interrupts.
//
// Code that writes runs in machine mode, which MicroPython and ESP-IDF's tasks do.
#ifndef FEAGI_PORT_RV32_H
#define FEAGI_PORT_RV32_H

typedef uint32_t feagi_port_key_t;

#define FEAGI_PORT_MSTATUS_MIE 8u // as csrrci takes it: at most 5 bits

// Reads mstatus and clears its MIE (1 instruction), sets MIE if it was set (2): nests, and works in interrupts.
static inline feagi_port_key_t feagi_port_lock(void) {
    feagi_port_key_t key;
    __asm volatile("csrrci %0, mstatus, %1" : "=r"(key) : "i"(FEAGI_PORT_MSTATUS_MIE) : "memory");
    return key;
}
static inline void feagi_port_unlock(feagi_port_key_t key) {
    __asm volatile("csrs mstatus, %0" ::"r"(key & FEAGI_PORT_MSTATUS_MIE) : "memory");
}

#if defined(__riscv_div)
#define FEAGI_PORT_DIVIDES 1
#else
#define FEAGI_PORT_DIVIDES 0
#endif
#if defined(__riscv_atomic)
#define FEAGI_PORT_EXCLUSIVE 1
#else
#define FEAGI_PORT_EXCLUSIVE 0
#endif
#include "feagi_port_masked.h"

#endif
