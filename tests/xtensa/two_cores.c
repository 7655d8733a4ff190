// Two threads of an emulated Xtensa machine as the two cores of an ESP32: both write the same fields and push events, ROUNDS
// times, and one reads. Exits with 0, or with the number of what was wrong.
#define TWO_CORES
#include "linux.h"

#include "feagi_events.h"
#include "feagi_state.h"

#define STACK_WORDS 4096

enum { SUM_OF_32_BITS = 10, SUM_OF_64_BITS, VERSION, TORN, EVENTS_LOST, EVENTS_OUT_OF_ORDER, NO_THREAD };
enum { SYS_CLONE = 116, THREAD_FLAGS = 0x50f00 }; // CLONE_VM, FS, FILES, SIGHAND, THREAD, SYSVSEM

static uint64_t memory[1024];
static feagi_region_t region;
static word_t second_stack[STACK_WORDS] __attribute__((aligned(16)));
static word_t second_is_done;

static int core_of(word_t stack_pointer) {
    return stack_pointer - (word_t)second_stack < sizeof second_stack;
}
static word_t processor_id(word_t stack_pointer) {
    return core_of(stack_pointer) ? 0xabab : 0xcdcd;
}
static word_t *interrupt_level(word_t stack_pointer) {
    static word_t levels[2];
    return &levels[core_of(stack_pointer)];
}

static void write(void) {
    feagi_state_add(&region, FEAGI_FIELD_NEURON_COUNT, 1, NULL);
    feagi_state_add(&region, FEAGI_FIELD_GENOME_TIMESTAMP, (uint64_t)1 << 32 | 1, NULL); // its halves are equal at any time
}

__attribute__((used)) static void second_core(void) {
    for (uint32_t i = 0; i < ROUNDS; i++) {
        write();
        while (feagi_events_push(&region, 257, i) != 0) {
        }
    }
    __atomic_store_n(&second_is_done, 1, __ATOMIC_RELEASE);
    for (;;) {
    }
}

// The new thread begins with a call, as a program does.
int spawn(long number, long flags, void *stack);
__asm(".global spawn\n\t.type spawn, @function\n\t.balign 4\n"
      "spawn:\n\tentry a1, 48\n\tmov a6, a3\n\tmov a3, a4\n\tmovi a4, 0\n\tmovi a5, 0\n\tmovi a8, 0\n\tsyscall\n\tbnez a2, "
      ".Lparent\n"
      "\tmovi a0, 0\n\tcall4 second_core\n.Lparent:\n\tretw\n");

// Takes what is in the ring. Each core's events come in its order.
static void take(uint32_t *next) {
    feagi_event_t event;
    while (feagi_events_pop(&region, &event)) {
        if (event.arg != next[event.kind - 256]++) {
            leave_with(EVENTS_OUT_OF_ORDER);
        }
    }
}

static void start(void) {
    feagi_region_init(&region, memory, sizeof memory, FEAGI_PROFILE_MICRO, 1);
    if (spawn(SYS_CLONE, THREAD_FLAGS, second_stack + STACK_WORDS) < 0) {
        leave_with(NO_THREAD);
    }
    uint32_t next[2] = {0, 0};
    for (uint32_t i = 0; i < ROUNDS; i++) {
        write();
        const uint64_t value = feagi_state_get(&region, FEAGI_FIELD_GENOME_TIMESTAMP);
        if ((uint32_t)value != value >> 32) {
            leave_with(TORN);
        }
        while (feagi_events_push(&region, 256, i) != 0) {
            take(next);
        }
        take(next);
    }
    while (!__atomic_load_n(&second_is_done, __ATOMIC_ACQUIRE)) {
        take(next);
    }
    take(next);
    if (feagi_state_get(&region, FEAGI_FIELD_NEURON_COUNT) != 2 * ROUNDS) {
        leave_with(SUM_OF_32_BITS);
    }
    if (feagi_state_get(&region, FEAGI_FIELD_GENOME_TIMESTAMP) != ((uint64_t)2 * ROUNDS << 32 | 2 * ROUNDS)) {
        leave_with(SUM_OF_64_BITS);
    }
    if (feagi_state_get(&region, FEAGI_FIELD_VERSION) != 4 * ROUNDS) {
        leave_with(VERSION);
    }
    if (next[0] != ROUNDS || next[1] != ROUNDS) {
        leave_with(EVENTS_LOST);
    }
}
