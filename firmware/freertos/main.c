// FEAGI's state in a firmware without MicroPython: two tasks and a timer interrupt write one region, and a third task mirrors it
// to a PC. The burst engine runs as long as the state says so, and the state may be written by a host:
//
//     device.set("burst_engine_state", BurstEngineState.PAUSED)
#include "board.h"
#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_state.h"
#include "link_task.h"

#define SAMPLE_US 1000
#define BURST_MS 50
#define HEARTBEAT_MS 500
#define EVENT_SAMPLES FEAGI_USER_EVENT_BASE // kinds of one's own begin here; its argument is a running number

static uint8_t memory[FEAGI_REGION_LEN_MICRO] __attribute__((aligned(FEAGI_SECTION_ALIGN_BYTES)));
static feagi_region_t region;

// In the timer interrupt. It is more urgent than FreeRTOS allows for calls of its own; the core's calls have no such limit.
static void take_sample(void) {
    static uint32_t samples;
    (void)feagi_state_add(&region, FEAGI_FIELD_SYNAPSE_COUNT, 1, NULL);
    if (++samples % 100 == 0) {
        (void)feagi_events_push(&region, EVENT_SAMPLES, samples / 100);
    }
}

static void burst_task(void *parameters) {
    (void)parameters;
    (void)feagi_state_set(&region, FEAGI_FIELD_BURST_ENGINE_STATE, FEAGI_BURST_ENGINE_STATE_RUNNING, NULL);
    TickType_t at = xTaskGetTickCount();
    for (;;) {
        vTaskDelayUntil(&at, pdMS_TO_TICKS(BURST_MS));
        if (feagi_state_get(&region, FEAGI_FIELD_BURST_ENGINE_STATE) == FEAGI_BURST_ENGINE_STATE_RUNNING) {
            (void)feagi_state_add(&region, FEAGI_FIELD_REGULAR_NEURON_COUNT, 7, NULL);
            (void)feagi_state_add(&region, FEAGI_FIELD_NEURON_COUNT, 7, NULL);
        }
    }
}

// The one task that changes the agents' table.
static void agents_task(void *parameters) {
    (void)parameters;
    static const uint8_t id[] = "imu", what[] = "accelerometer";
    uint32_t handle = 0;
    const int status =
        feagi_agents_register(&region, id, sizeof id - 1, FEAGI_AGENT_TYPE_SENSORY, what, sizeof what - 1, &handle);
    configASSERT(status == 0);
    (void)status;
    for (;;) {
        vTaskDelay(pdMS_TO_TICKS(HEARTBEAT_MS));
        (void)feagi_agents_heartbeat_handle(&region, handle);
    }
}

int main(void) {
    static StaticTask_t burst, agents;
    static StackType_t burst_stack[192], agents_stack[256];
    (void)feagi_region_init(&region, memory, sizeof memory, FEAGI_PROFILE_MICRO, board_entropy());
    (void)xTaskCreateStatic(burst_task, "burst", 192, NULL, 2, burst_stack, &burst);
    (void)xTaskCreateStatic(agents_task, "agents", 256, NULL, 1, agents_stack, &agents);
    link_task_start(&region, "freertos");
    board_timer_start(SAMPLE_US, take_sample);
    vTaskStartScheduler();
}
