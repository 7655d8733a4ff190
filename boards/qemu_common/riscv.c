// What every RISC-V board has: start-up, faults, interrupt masking.

#include <string.h>

#include "py/mphal.h"

#include "qemu_common/riscv.h"
#include "qemu_common/soc.h"

#define MSTATUS_MIE "8" // interrupts are let through
#define MIE_MTIE (1 << 7)
#define MIE_MEIE (1 << 11)
#define MCAUSE_INTERRUPT (0x80000000)
#define MCAUSE_TIMER (MCAUSE_INTERRUPT | 7)
#define MCAUSE_EXTERNAL (MCAUSE_INTERRUPT | 11)

#define READ_CSR(name)                                                                                                           \
    ({                                                                                                                           \
        uint32_t value;                                                                                                          \
        __asm volatile("csrr %0, " #name : "=r"(value));                                                                         \
        value;                                                                                                                   \
    })

// Defined by the linker script.
extern uint32_t _sbss, _ebss;

int main(void);

// The image is loaded where it runs, again at every reset, so .data needs no copying.
static void __attribute__((used, noreturn)) start_c(void) {
    memset(&_sbss, 0, (uintptr_t)&_ebss - (uintptr_t)&_sbss);
    main();
    for (;;) {
    }
}

void __attribute__((naked, section(".start"))) _start(void) {
    __asm volatile("la sp, _estack\n"
                   "j start_c\n");
}

// Stops QEMU with an error status: a crash must not look like a board that has
// nothing to say.
static void __attribute__((noreturn)) fault(uint32_t cause) {
    mp_printf(&mp_plat_print, "\nFATAL: exception %u at pc=%08x, value %08x\n", (unsigned)cause, (unsigned)READ_CSR(mepc),
              (unsigned)READ_CSR(mtval));
    riscv_exit(1);
}

static void __attribute__((interrupt("machine"), aligned(4))) trap(void) {
    uint32_t cause = READ_CSR(mcause);
    if (cause == MCAUSE_TIMER) {
        riscv_timer_handler();
    } else if (cause == MCAUSE_EXTERNAL) {
        riscv_external_handler();
    } else {
        fault(cause);
    }
}

void riscv_interrupts_enable(void) {
    __asm volatile("csrw mtvec, %0\n"
                   "csrw mie, %1\n"
                   "csrsi mstatus, " MSTATUS_MIE
                   :
                   : "r"(&trap), "r"(MIE_MTIE | MIE_MEIE)
                   : "memory");
}

uint32_t qemu_irq_disable(void) {
    uint32_t mstatus;
    __asm volatile("csrrci %0, mstatus, " MSTATUS_MIE : "=r"(mstatus) : : "memory");
    return mstatus & 8;
}

void qemu_irq_restore(uint32_t mie) {
    __asm volatile("csrs mstatus, %0" : : "r"(mie) : "memory");
}
