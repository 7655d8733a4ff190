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
static const uint8_t longest[64] = "a text that is as long as bytes in a command may be, and longer";

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

// ---- What a poll does with the link

static uint8_t wire[FEAGI_FRAME_WIRE_BYTES + FEAGI_LINK_RXBUF_BYTES];
static size_t wire_len;

static void say(feagi_frame_out_t *out, uint32_t session) {
    wire_len += feagi_frame_finish(out, session);
}

static void say_hello_ack(uint32_t session) {
    feagi_frame_out_t out;
    feagi_frame_start(&out, wire + wire_len, FEAGI_LINK_RXBUF_BYTES, FEAGI_KIND_HELLO_ACK, 0);
    feagi_frame_put_uint(&out, session);
    feagi_frame_put_uint(&out, 2 * FEAGI_UNIX_LEAST_MS); // a step: all times are moved
    say(&out, 0);
}

// SET: 11 bytes and a zero that another delimiter shares.
static void say_command(uint8_t seq, uint32_t session) {
    feagi_frame_out_t out;
    feagi_frame_start(&out, wire + wire_len, FEAGI_LINK_RXBUF_BYTES, FEAGI_KIND_COMMAND, seq);
    feagi_frame_put_uint(&out, FEAGI_COMMAND_OP_SET);
    feagi_frame_put_uint(&out, offsetof(feagi_core_t, burst_engine_state));
    feagi_frame_put_uint(&out, seq & 1);
    say(&out, session);
}

// As long as a frame may be: a command that no device knows.
static void say_longest(uint32_t session) {
    feagi_frame_out_t out;
    feagi_frame_start(&out, wire, FEAGI_LINK_RXBUF_BYTES, FEAGI_KIND_COMMAND, 200);
    feagi_frame_put_uint(&out, 99);
    feagi_frame_put_bytes(&out, longest, 64);
    feagi_frame_put_bytes(&out, longest, FEAGI_LINK_RXBUF_BYTES - 7 - 1 - 1 - 1 - 2 - 2 - 64);
    say(&out, session);
}

// One word has changed, and is sent.
__attribute__((noipa)) static void one_word_delta(void) {
    const uint8_t *data;
    feagi_link_tick(&link, 3000, 3000000);
    feagi_link_sent(&link, feagi_link_output(&link, &data));
}

// The longest frame arrives.
__attribute__((noipa)) static void receive_longest(void) {
    feagi_link_receive(&link, wire, wire_len);
}

// All that a host may have under way arrives, and as many frames go as one poll sends.
__attribute__((noipa)) static void poll_of_most(void) {
    const uint8_t *data;
    feagi_link_tick(&link, 3000, 3000000);
    feagi_link_receive(&link, wire, wire_len);
    for (int frames = 0; frames < 8; frames++) {
        feagi_link_sent(&link, feagi_link_output(&link, &data));
    }
}

// Everything is sent, and the host has it.
static void settle(void) {
    const uint8_t *data;
    feagi_event_t event;
    size_t len;
    do {
        feagi_link_acknowledge(&link, link.run.seq);
        while (feagi_events_pop(r, &event)) {
        }
        link.run.events_flying = 0;
        len = feagi_link_output(&link, &data);
        feagi_link_sent(&link, len);
    } while (len);
}

// A session begins, and commands come with its beginning: the most that so many bytes can ask for.
__attribute__((noipa)) static void prepare_poll_of_most(void) {
    wire_len = 0;
    say_hello_ack(link.session);
    for (uint8_t seq = 1; wire_len + 12 <= FEAGI_LINK_RXBUF_BYTES; seq++) {
        say_command(seq, link.session);
    }
}

__attribute__((noipa)) static void prepare_one_word_delta(void) {
    settle();
    feagi_state_store_u32(r, offsetof(feagi_core_t, neuron_count), 0x01020304);
    link.clock_sent = (uint32_t)feagi_state_load_u64(r, offsetof(feagi_core_t, version)); // it follows with another delta
}

__attribute__((noipa)) static void prepare_receive_longest(void) {
    wire_len = 0;
    say_longest(link.session);
}

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
        link.run.window = FEAGI_LINK_WINDOW;
        feagi_frame_out_t out;
        (void)feagi_link_make_delta(&link, &out);
    }
    prepare_poll_of_most();
    poll_of_most();
    prepare_one_word_delta();
    one_word_delta();
    prepare_receive_longest();
    receive_longest();
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
