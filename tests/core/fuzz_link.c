// Whatever a line brings to a device, for libFuzzer with the sanitizers for addresses and undefined behaviour.
//
// An input is a list of steps: a byte that says what, and what it takes. Bytes from the line come as they are, or as the payload
// of a frame that is right around it (COBS, CRC, session), since no mutation would ever find a CRC. Besides crashes it finds: a
// region whose header or tables no longer hold together, an accepted payload that is not the preferred form of its items, output
// that is longer than a frame, and any allocation by the core.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feagi_events.h"
#include "feagi_link.h"
#include "feagi_state.h"
#include "reencode.h"

#define INPUT_MOST 4096u
#define CHECK(condition)                                                                                                         \
    do {                                                                                                                         \
        if (!(condition)) {                                                                                                      \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                                              \
            abort();                                                                                                             \
        }                                                                                                                        \
    } while (0)

// The sanitizer calls these at every malloc and free of the process.
int __sanitizer_install_malloc_and_free_hooks(void (*on_malloc)(const volatile void *, size_t),
                                              void (*on_free)(const volatile void *));
static _Thread_local bool in_core; // libFuzzer has a thread that watches over memory and time
static _Thread_local bool allocated;
static void on_malloc(const volatile void *block, size_t len_bytes) {
    (void)block;
    (void)len_bytes;
    allocated |= in_core;
}
static void on_free(const volatile void *block) {
    (void)block;
    allocated |= in_core;
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    CHECK(__sanitizer_install_malloc_and_free_hooks(on_malloc, on_free));
    return 0;
}

// The items of a payload that was accepted, written again, are the payload.
static void check_round_trip(const feagi_frame_t *frame) {
    static uint8_t wire[FEAGI_FRAME_WIRE_BYTES];
    feagi_frame_out_t out;
    feagi_frame_start(&out, wire, FEAGI_FRAME_LEN_BYTES - 4, frame->kind, frame->seq);
    if (reencode(&out, frame->payload, frame->len)) {
        CHECK(out.len == FEAGI_FRAME_BODY_AT + 2 + frame->len);
        CHECK(memcmp(wire + FEAGI_FRAME_BODY_AT + 2, frame->payload, frame->len) == 0);
    }
}

static void receive(feagi_link_t *link, const uint8_t *data, size_t len_bytes) {
    // In a block of its own length, so that the sanitizer sees a byte read too far.
    uint8_t *exact = malloc(len_bytes ? len_bytes : 1);
    memcpy(exact, data, len_bytes);
    in_core = true;
    feagi_link_receive(link, exact, len_bytes);
    in_core = false;
    free(exact);
}

// The body as a frame of the present session.
static void receive_framed(feagi_link_t *link, uint8_t kind, uint8_t seq, const uint8_t *payload, size_t len_bytes) {
    static uint8_t wire[FEAGI_FRAME_WIRE_BYTES];
    feagi_frame_out_t out;
    const bool opening = kind == FEAGI_KIND_HELLO || kind == FEAGI_KIND_HELLO_ACK;
    feagi_frame_start(&out, wire, FEAGI_FRAME_LEN_BYTES - 4, kind, seq);
    feagi_frame_put_raw(&out, payload, len_bytes);
    const size_t wire_len = feagi_frame_finish(&out, opening ? 0 : link->session);
    static uint8_t buffer[FEAGI_FRAME_LEN_BYTES];
    feagi_frame_in_t in;
    feagi_frame_in_init(&in, buffer, sizeof buffer);
    int got = 0;
    for (size_t i = 0; i < wire_len; i++) {
        const int ended = feagi_frame_feed(&in, wire[i]);
        got = ended ? ended : got;
    }
    CHECK(got == (int)len_bytes + 6);
    uint8_t *body = malloc((size_t)got);
    memcpy(body, buffer, (size_t)got);
    feagi_frame_t frame;
    if (feagi_frame_check(body, (size_t)got, opening ? 0 : link->session, &frame) == 0) {
        check_round_trip(&frame);
    }
    free(body);
    receive(link, wire, wire_len);
}

static void send(feagi_link_t *link, size_t room_bytes) {
    for (unsigned frames = 0; frames < 8; frames++) {
        const uint8_t *data;
        in_core = true;
        const size_t len = feagi_link_output(link, &data);
        feagi_link_sent(link, len < room_bytes ? len : room_bytes);
        in_core = false;
        CHECK(len <= FEAGI_FRAME_WIRE_BYTES);
        if (len == 0 || len > room_bytes) {
            return;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len_bytes) {
    const uint8_t *end = data + (len_bytes < INPUT_MOST ? len_bytes : INPUT_MOST);
    const uint32_t region_len = feagi_region_len(feagi_region_profile(FEAGI_PROFILE_TINY));
    feagi_region_t region;
    feagi_link_t *link = malloc(sizeof *link);
    void *memory = malloc(region_len);
    CHECK(feagi_region_init(&region, memory, region_len, FEAGI_PROFILE_TINY, 1) == 0);
    uint32_t *dirty = malloc(feagi_region_dirty_words(&region) * sizeof *dirty);
    CHECK(feagi_link_init(link, &region, dirty, "fuzzed", 1) == 0);
    uint64_t now_ms = 0;
    while (end - data >= 4) {
        const uint8_t what = data[0], a = data[1], b = data[2], n = data[3];
        data += 4;
        size_t taken = n < (size_t)(end - data) ? n : (size_t)(end - data);
        switch (what % 6) {
            case 0:
                receive(link, data, taken);
                break;
            case 1:
                taken = taken < FEAGI_FRAME_PAYLOAD_BYTES ? taken : FEAGI_FRAME_PAYLOAD_BYTES;
                receive_framed(link, a, b, data, taken);
                break;
            case 2: { // the host takes the session that is offered
                uint8_t ack[5] = {0x1a};
                for (unsigned i = 0; i < 4; i++) {
                    ack[1 + i] = (uint8_t)(link->session >> (24 - 8 * i));
                }
                // In preferred serialization, an id that is large enough.
                if (link->session > UINT16_MAX) {
                    receive_framed(link, FEAGI_KIND_HELLO_ACK, 0, ack, sizeof ack);
                }
                taken = 0;
                break;
            }
            case 3:
                now_ms += (uint64_t)a * b;
                feagi_region_set_time(&region, now_ms);
                feagi_link_tick(link, now_ms, now_ms * 1000);
                taken = 0;
                break;
            case 4:
                send(link, n);
                taken = 0;
                break;
            default:
                in_core = true;
                feagi_state_set(&region, a % FEAGI_FIELDS, b, NULL);
                feagi_events_push(&region, a, b);
                in_core = false;
                taken = 0;
                break;
        }
        data += taken;
    }
    CHECK(!allocated);
    feagi_region_t again;
    CHECK(feagi_region_attach(&again, memory, region_len) == 0);
    free(dirty);
    free(memory);
    free(link);
    return 0;
}
