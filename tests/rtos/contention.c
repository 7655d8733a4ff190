// Three tasks and an interrupt that do nothing but write the same words and push into the same ring, as fast as they can, in
// place of the example's main.c. What came of it is read on the host, over the example's link task:
//
//   neuron_count, genome_timestamp, version   sums that every producer adds to
//   hashes 1 to 4                             how many rounds each producer has made, stored when it is done
//   events, kind 256 + producer               numbered from 1 by each producer
//   memory_usage                              64-bit values that were read torn
#include "board.h"
#include "feagi_events.h"
#include "feagi_hashes.h"
#include "feagi_state.h"
#include "link_task.h"

#define TASKS 3
#define INTERRUPT TASKS // the last producer
#define STACK_WORDS 256
#define EVENT_ROUNDS 64 // rounds to an event

static uint8_t memory[FEAGI_REGION_LEN_MICRO] __attribute__((aligned(FEAGI_SECTION_ALIGN_BYTES)));
static feagi_region_t region;

static void make_round(uint32_t producer, uint32_t number, uint32_t rounds) {
    (void)feagi_state_add(&region, FEAGI_FIELD_NEURON_COUNT, 1, NULL);
    (void)feagi_state_add(&region, FEAGI_FIELD_GENOME_TIMESTAMP, 1, NULL);
    if (number % EVENT_ROUNDS == 0) {
        (void)feagi_events_push(&region, (uint16_t)(FEAGI_USER_EVENT_BASE + producer), number / EVENT_ROUNDS);
    }
    if (number == rounds) {
        feagi_hashes_set(&region, 1 + producer, rounds);
    }
}

static void interrupt(void) {
    static uint32_t number;
    if (number < INTERRUPT_ROUNDS) {
        number++;
        feagi_hashes_set(&region, 0, (uint64_t)number << 32 | number); // both halves are the same
        make_round(INTERRUPT, number, INTERRUPT_ROUNDS);
    }
}

static void produce(void *parameter) {
    const uint32_t producer = (uint32_t)(uintptr_t)parameter;
    for (uint32_t number = 1; number <= TASK_ROUNDS; number++) {
        const uint64_t halves = feagi_hashes_get(&region, 0);
        if ((uint32_t)(halves >> 32) != (uint32_t)halves) {
            (void)feagi_state_add(&region, FEAGI_FIELD_MEMORY_USAGE, 1, NULL);
        }
        make_round(producer, number, TASK_ROUNDS);
        if (producer == TASKS - 1 && number % 32 == 0) {
            vTaskDelay(1); // it is more urgent than the others: in and out of their work
        }
    }
    vTaskSuspend(NULL);
}

int main(void) {
    static StaticTask_t tasks[TASKS];
    static StackType_t stacks[TASKS][STACK_WORDS];
    (void)feagi_region_init(&region, memory, sizeof memory, FEAGI_PROFILE_MICRO, board_entropy());
    for (uint32_t i = 0; i < TASKS; i++) {
        (void)xTaskCreateStatic(produce, "task", STACK_WORDS, (void *)(uintptr_t)i, i == TASKS - 1 ? 2 : 1, stacks[i], &tasks[i]);
    }
    link_task_start(&region, "contention");
    board_timer_start(100, interrupt);
    vTaskStartScheduler();
}
