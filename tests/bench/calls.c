// Calls everything that a device's core has a critical section in, with a region that is as full and as far away as it gets.
// calls.py runs it instruction by instruction, and takes whatever main calls as one call.
//
// It runs on a bare CPU: no libc, no interrupts, main is all there is.
#include "feagi_agents.h"
#include "feagi_areas.h"
#include "feagi_clock.h"
#include "feagi_events.h"
#include "feagi_hashes.h"
#include "feagi_image.h"
#include "feagi_link_internal.h"
#include "feagi_locks.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_windows.h"

#if defined(__arm__)
extern uint8_t stack_end[];
void start(void);
const void *const vectors[] __attribute__((section(".start"), used)) = {stack_end, (const void *)start};
static void leave(void) {
    register uint32_t operation __asm("r0") = 0x18, reason __asm("r1") = 0x20026; // semihosting: exit, application exit
    __asm volatile("bkpt 0xab" ::"r"(operation), "r"(reason));
}
#elif defined(__riscv)
__attribute__((naked, used, section(".start"))) static void first(void) {
    __asm volatile("la sp, stack_end\n\tj start");
}
static void leave(void) {
    *(volatile uint32_t *)0x100000 = 0x5555; // QEMU's test device: pass
}
#elif defined(__XTENSA__)
#include "../xtensa/linux.h"
static void leave(void) {
    leave_with(0);
}
#else
#error "no start for this CPU"
#endif

#define PROFILE FEAGI_PROFILE_MICRO
static uint64_t memory[5 * 1024 / 8], image[3 * 1024 / 8];
static feagi_region_t region, saved, *const r = &region;
static feagi_link_t link;
static uint32_t dirty[FEAGI_DIRTY_WORDS_MICRO];

static void set_up(void) {
    if (feagi_region_init(r, memory, sizeof memory, PROFILE, 1) || feagi_region_dirty_words(r) > sizeof dirty / sizeof *dirty) {
        for (;;) {
        }
    }
    (void)feagi_link_init(&link, r, dirty, "calls", 1);
}

// Calls an inline function as if it were none: its address is not known, and it keeps what is inline in it.
#define CALL(function, ...)                                                                                                      \
    __extension__({                                                                                                              \
        __typeof__(&function) volatile called = &function;                                                                       \
        called(__VA_ARGS__);                                                                                                     \
    })

__attribute__((noipa)) static void calls(void) {
    static const uint8_t text[] = "0123456789abcdefghijklmnopqrstuvwxyz";
    static const feagi_stats_change_t each[FEAGI_STATS_COUNTS] = {
        {FEAGI_STATS_SET, 1},
        {FEAGI_STATS_ADD, 1},
        {FEAGI_STATS_SUBTRACT, 1},
    };
    uint32_t handle = 0;
    feagi_event_t event;

    (void)CALL(feagi_state_load_u32, r, offsetof(feagi_core_t, neuron_count));
    (void)CALL(feagi_state_load_u64, r, offsetof(feagi_core_t, version));
    CALL(feagi_state_store_u32, r, offsetof(feagi_core_t, neuron_count), 1);
    CALL(feagi_state_store_u64, r, offsetof(feagi_core_t, genome_timestamp), 1);
    for (unsigned field = 0; field < FEAGI_FIELDS; field++) {
        (void)feagi_state_get(r, field);
        (void)feagi_state_write(r, field, FEAGI_STATE_SET, 1, NULL);
        (void)CALL(feagi_state_set, r, field, 1, NULL);
        (void)CALL(feagi_state_add, r, field, 1, NULL);
        (void)CALL(feagi_state_subtract, r, field, 1, NULL);
    }
    for (unsigned i = 0; i < FEAGI_HASHES_COUNT; i++) {
        CALL(feagi_hashes_set, r, i, 1);
        (void)CALL(feagi_hashes_get, r, i);
    }
    // Every slot of every table.
    for (uint32_t i = 0; i < r->agents.capacity; i++) {
        (void)feagi_agents_register(r, text + i, 20, FEAGI_AGENT_TYPE_MOTOR, text, 24, &handle);
        (void)feagi_agents_heartbeat(r, text + i, 20);
        (void)feagi_agents_heartbeat_handle(r, handle);
    }
    for (uint32_t area = 0; area < r->locks.capacity; area++) {
        (void)feagi_locks_try_lock(r, area, 1);
        (void)feagi_areas_get(r, &r->locks, area);
        (void)CALL(feagi_locks_owner, r, area);
        (void)feagi_locks_take_over(r, area, 1, 2);
        (void)CALL(feagi_locks_unlock, r, area, 2);
    }
    for (uint32_t area = 0; area < r->windows.capacity; area++) {
        (void)feagi_windows_set(r, area, 1);
        (void)feagi_windows_get(r, area);
        (void)feagi_windows_remove(r, area);
    }
    CALL(feagi_windows_set_default, r, 1);
    for (uint32_t i = 0; i < r->stats.capacity; i++) {
        const int slot = feagi_stats_init(r, text + i, 16);
        CALL(feagi_stats_set, r, (uint32_t)slot, FEAGI_STATS_OUTGOING, 1);
        (void)CALL(feagi_stats_add, r, (uint32_t)slot, FEAGI_STATS_OUTGOING, 1);
        (void)CALL(feagi_stats_subtract, r, (uint32_t)slot, FEAGI_STATS_OUTGOING, 1);
        (void)CALL(feagi_stats_get, r, (uint32_t)slot, FEAGI_STATS_OUTGOING);
        (void)feagi_stats_update(r, text + i, 16, each);
    }
    while (feagi_events_pop(r, &event)) {
    }
    for (uint32_t i = 0; i <= r->events_mask + 1; i++) { // the last one is rejected
        (void)feagi_events_push(r, FEAGI_USER_EVENT_BASE, i);
    }
    (void)feagi_events_pop(r, &event);
    feagi_region_set_time(r, 2000);
    feagi_clock_hear(r, 2000, FEAGI_UNIX_LEAST_MS, true); // all times are moved
    feagi_link_start_deltas(&link);
    for (uint32_t page = 0; page < r->pages; page++) {
        uint32_t len_bytes;
        const uint32_t at = feagi_region_page(r, page, &len_bytes);
        feagi_region_mark(r, at, len_bytes);
        link.run.flights = 0;
        feagi_frame_out_t out;
        (void)feagi_link_make_delta(&link, &out);
    }
    feagi_image_save(r, image);
    (void)feagi_agents_deregister(r, text, 20);
    (void)feagi_image_open(&saved, image, feagi_image_len(r));
    (void)feagi_image_restore(r, &saved);
    feagi_region_set_time(r, 1000000);
    (void)feagi_agents_evict(r, 1000);
}

__attribute__((used)) void start(void) {
    set_up();
    calls();
    leave();
    for (;;) {
    }
}
