// Runs on the emulated CPU, without a libc: does as the program on the other end of stdin and stdout says (interpreter.py), which
// is to write and read memory and to call functions. What these call in turn, through the table of MicroPython's functions that a
// native module is linked to, is asked of that program.
//
// A message is three words, operation and two operands, and what belongs to it; see the operations.
#include "linux.h"

enum {
    READ = 1, // address, length -> the bytes
    WRITE,    // address, length, the bytes
    CALL,     // address, 0, 6 arguments -> RETURN or RAISE
    RETURN,   // value, 0: of a call, or to a function of the table
    RAISE,    // 0, 0: leaves the innermost call, as an exception does
    ASK,      // index in the table, 0, 6 arguments -> RETURN or RAISE
    HELLO,    // address and length of the memory, the addresses of the table's functions
};

#define ARGUMENTS 6
#define MEMORY_LEN_BYTES (32u << 20)

static uint8_t memory[MEMORY_LEN_BYTES] __attribute__((aligned(4096)));

static void transfer(long number, void *data, size_t len) {
    for (uint8_t *at = data; len;) {
        long done = system_call(number, number == SYS_WRITE, (long)at, (long)len, 0);
        if (done <= 0) {
            leave_with(done < 0); // the other end has gone
        }
        at += done;
        len -= (size_t)done;
    }
}

static void send(word_t operation, word_t a, word_t b) {
    word_t message[] = {operation, a, b};
    transfer(SYS_WRITE, message, sizeof message);
}

// ---- Calls

// Where a raise goes: the caller of run(), by its frame's stack pointer and return address.
typedef struct {
    word_t sp, ra;
} frame_t;
static frame_t frame;
static int raised;

static __attribute__((noinline)) word_t run(word_t function, const word_t *a) {
    __asm volatile("mov %0, a1\n\tmov %1, a0" : "=a"(frame.sp), "=a"(frame.ra));
    return ((word_t(*)(word_t, word_t, word_t, word_t, word_t, word_t))function)(a[0], a[1], a[2], a[3], a[4], a[5]);
}

// Deeper than the CPU has windows of registers: those of all callers are in their stack frames then.
static __attribute__((noinline)) word_t spill(word_t depth) {
    volatile word_t kept = depth;
    return depth ? spill(depth - 1) + kept : 0;
}

__attribute__((noreturn)) static void raise(void) {
    raised = 1;
    spill(20);
    // Returns as run() would. The window of its caller is not in registers any more, so the CPU loads it from run()'s frame.
    __asm volatile("mov a0, %1\n\tmov a1, %0\n\tretw" ::"a"(frame.sp), "a"(frame.ra));
    for (;;) {
    }
}

// Does as told until it is told to return.
static word_t serve(void) {
    for (;;) {
        word_t message[3], arguments[ARGUMENTS];
        transfer(SYS_READ, message, sizeof message);
        void *at = (void *)message[1];
        if (message[0] == READ) {
            transfer(SYS_WRITE, at, message[2]);
        } else if (message[0] == WRITE) {
            transfer(SYS_READ, at, message[2]);
        } else if (message[0] == CALL) {
            transfer(SYS_READ, arguments, sizeof arguments);
            const frame_t outer = frame;
            const word_t outer_level = level;
            raised = 0;
            const word_t value = run(message[1], arguments);
            frame = outer;
            if (level != outer_level) { // a section was left open
                leave_with(3);
            }
            send(raised ? RAISE : RETURN, value, 0);
            raised = 0;
        } else if (message[0] == RETURN) {
            return message[1];
        } else if (message[0] == RAISE) {
            raise();
        } else {
            leave_with(4);
        }
    }
}

// ---- The table

static word_t ask(word_t index, word_t a, word_t b, word_t c, word_t d, word_t e, word_t f) {
    word_t arguments[ARGUMENTS] = {a, b, c, d, e, f};
    send(ASK, index, 0);
    transfer(SYS_WRITE, arguments, sizeof arguments);
    return serve();
}

// A hundred of them, by the numbers from 10 to 109.
#define FUNCTION(n)                                                                                                              \
    static word_t function_##n(word_t a, word_t b, word_t c, word_t d, word_t e, word_t f) {                                     \
        return ask(n - 10, a, b, c, d, e, f);                                                                                    \
    }
#define ADDRESS(n) function_##n,
#define TEN(F, t) F(t##0) F(t##1) F(t##2) F(t##3) F(t##4) F(t##5) F(t##6) F(t##7) F(t##8) F(t##9)
#define ALL(F) TEN(F, 1) TEN(F, 2) TEN(F, 3) TEN(F, 4) TEN(F, 5) TEN(F, 6) TEN(F, 7) TEN(F, 8) TEN(F, 9) TEN(F, 10)
ALL(FUNCTION)
static word_t (*const functions[])(word_t, word_t, word_t, word_t, word_t, word_t) = {ALL(ADDRESS)};

static void start(void) {
    system_call(SYS_MPROTECT, (long)memory, sizeof memory, 7, 0);
    send(HELLO, (word_t)memory, sizeof memory);
    send(HELLO, sizeof functions / sizeof *functions, 0);
    transfer(SYS_WRITE, (void *)functions, sizeof functions);
    serve();
}
