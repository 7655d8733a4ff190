// What programs of these tests need of Linux, without a libc, and the privileged instructions of the core's port, which Linux
// lets no program execute: a handler of the signal that they raise does what they would.
#ifndef LINUX_H
#define LINUX_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t word_t;

enum { SYS_READ = 12, SYS_WRITE = 13, SYS_MPROTECT = 82, SYS_EXIT_GROUP = 119, SYS_SIGACTION = 226 };

static long system_call(long number, long a, long b, long c, long d) {
    register long a2 __asm("a2") = number;
    register long a6 __asm("a6") = a;
    register long a3 __asm("a3") = b;
    register long a4 __asm("a4") = c;
    register long a5 __asm("a5") = d;
    __asm volatile("syscall" : "+a"(a2) : "a"(a6), "a"(a3), "a"(a4), "a"(a5) : "memory");
    return a2;
}

__attribute__((noreturn)) static void leave_with(int status) {
    for (;;) {
        system_call(SYS_EXIT_GROUP, status, 0, 0, 0);
    }
}

// The PRID of the core whose stack this is, and the level of interrupts in its PS.
#ifdef TWO_CORES
static word_t processor_id(word_t stack_pointer);
static word_t *interrupt_level(word_t stack_pointer);
#else
static word_t level;
static word_t processor_id(word_t stack_pointer) {
    (void)stack_pointer;
    return 0xcdcd;
}
static word_t *interrupt_level(word_t stack_pointer) {
    (void)stack_pointer;
    return &level;
}
#endif

// As Linux lays it out on Xtensa.
typedef struct {
    word_t flags, link, stack[3], pc, ps, lbeg, lend, lcount, sar, acclo, acchi, a[16];
} context_t;

static void on_illegal_instruction(int signal, void *info, context_t *context) {
    (void)signal;
    (void)info;
    const uint8_t *code = (const uint8_t *)context->pc;
    const word_t instruction = (word_t)(code[0] & 0xf) | (word_t)code[1] << 8 | (word_t)code[2] << 16;
    word_t *operand = &context->a[code[0] >> 4];
    if ((instruction & 0xfff0ff) == 0x006000) { // rsil at, level
        *operand = *interrupt_level(context->a[1]);
        *interrupt_level(context->a[1]) = instruction >> 8 & 0xf;
    } else if (instruction == 0x13e600) { // wsr at, ps
        *interrupt_level(context->a[1]) = *operand;
    } else if (instruction == 0x03eb00) { // rsr at, prid
        *operand = processor_id(context->a[1]);
    } else {
        leave_with(100);
    }
    context->pc += 3;
}

// The program begins with start(), on a stack of Linux, and ends when that returns.
static void start(void);
__attribute__((used)) static void enter(void) {
    static const word_t action[] = {(word_t)on_illegal_instruction, 4 /* SA_SIGINFO */, 0, 0, 0};
    system_call(SYS_SIGACTION, 4 /* SIGILL */, (long)action, 0, 8);
    start();
    leave_with(0);
}
__asm(".global _start\n\t.type _start, @function\n_start:\n\tmovi a0, 0\n\tcall4 enter\n");

#endif
