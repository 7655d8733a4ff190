// Between riscv.c and the hardware code of a RISC-V board.
#ifndef QEMU_COMMON_RISCV_H
#define QEMU_COMMON_RISCV_H

// Interrupts, provided by the hardware code.
void riscv_timer_handler(void);
void riscv_external_handler(void);

// Lets both through; called by soc_init().
void riscv_interrupts_enable(void);

// Ends QEMU with this exit status; provided by the hardware code.
void riscv_exit(unsigned status) __attribute__((noreturn));

#endif
