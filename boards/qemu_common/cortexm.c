// What all Cortex-M boards share: start-up, faults, interrupt masking, clock, reset.

#include <string.h>

#include "py/mphal.h"
#include "shared/runtime/semihosting_arm.h"

#include "qemu_common/cortexm.h"
#include "qemu_common/soc.h"

#define SCB_CPACR (*(volatile uint32_t *)0xe000ed88)
#define CPACR_FPU (0xf << 20) // full access to coprocessors 10 and 11
#define SCB_AIRCR (*(volatile uint32_t *)0xe000ed0c)
#define AIRCR_SYSRESETREQ (0x05fa0004) // with the key that allows the write

// Defined by the linker script.
extern uint32_t _sidata, _sdata, _edata, _sbss, _ebss;

int main(void);

// The stack pointer is already set: the core loads it from the vector table.
void Reset_Handler(void) {
#if defined(__ARM_FP)
    // Before the first floating-point instruction, which may well be a memcpy's.
    SCB_CPACR |= CPACR_FPU;
    __asm volatile("dsb\n isb" ::: "memory");
#endif
    memcpy(&_sdata, &_sidata, (uintptr_t)&_edata - (uintptr_t)&_sdata);
    memset(&_sbss, 0, (uintptr_t)&_ebss - (uintptr_t)&_sbss);
    main();
}

// Stops QEMU with an error status: a crash must not look like a board that has
// nothing to say. The frame is what the core pushed.
static void __attribute__((used, noreturn)) fault(const uint32_t *frame) {
    uint32_t kind;
    __asm volatile("mrs %0, ipsr" : "=r"(kind));
    mp_printf(&mp_plat_print, "\nFATAL: exception %u at pc=%08x lr=%08x r0=%08x r1=%08x r2=%08x r3=%08x\n", (unsigned)kind,
              (unsigned)frame[6], (unsigned)frame[5], (unsigned)frame[0], (unsigned)frame[1], (unsigned)frame[2],
              (unsigned)frame[3]);
    mp_semihosting_exit(1);
    for (;;) {
    }
}

void __attribute__((naked)) Default_Handler(void) {
    __asm volatile("mov r0, sp\n"
                   "bl fault\n");
}

uint32_t qemu_irq_disable(void) {
    uint32_t primask;
    __asm volatile("mrs %0, primask\n"
                   "cpsid i\n"
                   : "=r"(primask)
                   :
                   : "memory");
    return primask;
}

void qemu_irq_restore(uint32_t primask) {
    __asm volatile("msr primask, %0" : : "r"(primask) : "memory");
}

uint64_t soc_ticks_us(void) {
    // The counter wraps every 71 minutes; the tick reads it often enough to see that.
    static uint32_t last, wraps;
    uint32_t irq = qemu_irq_disable();
    uint32_t now = cortexm_counter_us();
    if (now < last) {
        wraps++;
    }
    last = now;
    uint64_t us = (uint64_t)wraps << 32 | now;
    qemu_irq_restore(irq);
    return us;
}

void soc_reset(void) {
    SCB_AIRCR = AIRCR_SYSRESETREQ;
    for (;;) {
    }
}
