// Cortex-M: M0, M0+ (armv6m), M3, M4, M7 (armv7m, armv7em), M23, M33 (armv8m). One core; the other writers are interrupts.
//
// Code that writes runs privileged, which MicroPython and FreeRTOS tasks without an MPU do: elsewhere the CPU ignores cpsid. NMI
// and HardFault handlers, which cpsid does not keep out, do not write. Of an RP2040's two cores one uses a region.
#ifndef FEAGI_PORT_CORTEXM_H
#define FEAGI_PORT_CORTEXM_H

typedef uint32_t feagi_port_key_t;

// Saves and sets PRIMASK (2 instructions), restores it (1): nests, and works in interrupts.
static inline feagi_port_key_t feagi_port_lock(void) {
    feagi_port_key_t key;
    __asm volatile("mrs %0, primask\n\tcpsid i" : "=r"(key)::"memory");
    return key;
}
static inline void feagi_port_unlock(feagi_port_key_t key) {
    __asm volatile("msr primask, %0" ::"r"(key) : "memory");
}

// LDREX and STREX: all but the M0 and M0+ have them.
#if defined(__ARM_FEATURE_LDREX) && (__ARM_FEATURE_LDREX & 4)
#define FEAGI_PORT_EXCLUSIVE 1
#else
#define FEAGI_PORT_EXCLUSIVE 0
#endif
// All but the M0 and M0+ divide.
#if defined(__ARM_FEATURE_IDIV)
#define FEAGI_PORT_DIVIDES 1
#else
#define FEAGI_PORT_DIVIDES 0
#endif
#include "feagi_port_masked.h"

#endif
