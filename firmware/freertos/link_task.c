#include "link_task.h"

#include "board.h"
#include "feagi_link.h"

// Above the tasks that write: a mirror is as late as this task. It takes little time, and nobody waits for it.
#define PRIORITY 3
#define STACK_WORDS 256
#define PERIOD_MS 2 // how late a change is sent; received bytes wake the task at once

static feagi_link_t link;
static uint32_t dirty[FEAGI_DIRTY_WORDS_MICRO]; // for a region of this profile, or a smaller one
static StaticTask_t task;
static StackType_t stack[STACK_WORDS];

// Milliseconds since start. FreeRTOS's count wraps after 49 days, the link's must not.
static uint64_t uptime_ms(void) {
    static TickType_t last;
    static uint64_t ticks;
    const TickType_t now = xTaskGetTickCount();
    ticks += (TickType_t)(now - last);
    last = now;
    return ticks * 1000 / configTICK_RATE_HZ;
}

static void serve(void *parameters) {
    feagi_region_t *region = parameters;
    board_uart_start(xTaskGetCurrentTaskHandle());
    for (;;) {
        (void)ulTaskNotifyTake(pdTRUE, pdMS_TO_TICKS(PERIOD_MS));
        const uint64_t now_ms = uptime_ms();
        feagi_region_set_time(region, now_ms);
        // A timer of microseconds, where there is one, makes the host's clock of the device as much finer.
        feagi_link_tick(&link, now_ms, now_ms * 1000);
        uint8_t bytes[32];
        size_t count;
        while ((count = board_uart_read(bytes, sizeof bytes)) > 0) {
            feagi_link_receive(&link, bytes, count);
        }
        const uint8_t *data;
        while ((count = feagi_link_output(&link, &data)) > 0) {
            const size_t sent = board_uart_write(data, count);
            feagi_link_sent(&link, sent);
            if (sent < count) {
                break; // the rest next time
            }
        }
    }
}

void link_task_start(feagi_region_t *region, const char *name) {
    configASSERT(feagi_region_dirty_words(region) <= sizeof dirty / sizeof *dirty);
    const int status = feagi_link_init(&link, region, dirty, name, board_entropy());
    configASSERT(status == 0); // a name that is too long or no UTF-8, or a region of more than FEAGI_LINK_PAGES
    (void)status;
    (void)xTaskCreateStatic(serve, "link", STACK_WORDS, region, PRIORITY, stack, &task);
}
