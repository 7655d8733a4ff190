// A mirror in a module for one thread: the region of a device at the other end of a link. See feagi_mirror.h.
#include "feagi_wasm.h"

#if !FEAGI_PORT_SHARED

#include "feagi_frame.h"
#include "feagi_mirror.h"

static feagi_mirror_map_t mirror;

// A run is at least three bytes of a delta's payload.
#define RUNS (FEAGI_FRAME_PAYLOAD_BYTES / 3u)

// Lays the memory out for the mirror of a region whose header lies in `text`. Returns how long it must be, or 0 for what is no
// header of a region that a link carries; then its pages are in `result`.
FEAGI_WASM_EXPORT(mirror_memory_len) uint32_t feagi_wasm_mirror_memory_len(feagi_wasm_seat_t *seat) {
    feagi_region_t given;
    if (feagi_region_attach(&given, seat->text, UINT32_MAX) || given.pages > FEAGI_LINK_PAGES) {
        return 0;
    }
    seat->result[0] = given.pages;
    return feagi_wasm_lay_out(feagi_mirror_len(given.len_bytes), given.len_bytes);
}

// Makes the mirror, empty but for the header in `text`, where mirror_memory_len has laid it out. Returns 0 or a negative error.
FEAGI_WASM_EXPORT(mirror_create) int feagi_wasm_mirror_create(feagi_wasm_seat_t *seat) {
    const int status =
        feagi_mirror_init(&mirror, (void *)(uintptr_t)feagi_wasm_world.region_at,
                          feagi_wasm_world.room_at - feagi_wasm_world.region_at, seat->text, FEAGI_HEADER_LEN_BYTES);
    seat->region = mirror.region;
    feagi_wasm_world.manual_clock = true; // times are the device's
    return status;
}

// Applies a delta: `payload_len` bytes of items in `text`, runs of words. Returns 0, with a bit in `result` for each page that
// was published, or a negative error without any change.
FEAGI_WASM_EXPORT(mirror_apply) int feagi_wasm_mirror_apply(feagi_wasm_seat_t *seat, uint32_t payload_len) {
    const uint8_t *at = seat->text, *end = at + payload_len;
    feagi_run_t runs[RUNS];
    uint32_t count = 0;
    feagi_frame_item_t word, data;
    while (count < RUNS && feagi_frame_next(&at, end, &word) > 0 && feagi_frame_next(&at, end, &data) > 0) {
        if (word.value > INT32_MAX) {
            return FEAGI_ERR_RANGE;
        }
        runs[count].word = word.major == 0 ? (int32_t)word.value : -1 - (int32_t)word.value;
        runs[count].data = data.bytes;
        runs[count].len_bytes = (uint32_t)data.value;
        count++;
    }
    uint32_t *touched = (uint32_t *)(void *)seat->result;
    feagi_port_clear(touched, sizeof seat->result);
    return feagi_wasm_wrote(feagi_mirror_apply(&mirror, runs, count, touched));
}
_Static_assert(sizeof((feagi_wasm_seat_t *)0)->result == FEAGI_MIRROR_PAGES / 8, "a bit a page has room in `result`");

// Publishes a whole page, whose bytes lie in `text`. Returns 0 or a negative error.
FEAGI_WASM_EXPORT(mirror_publish) int feagi_wasm_mirror_publish(feagi_wasm_seat_t *seat, uint32_t page) {
    return feagi_wasm_wrote(feagi_mirror_publish(&mirror, page, seat->text));
}

FEAGI_WASM_EXPORT(mirror_push_event)
void feagi_wasm_mirror_push_event(uint32_t kind, uint32_t arg, uint32_t time_ms) {
    feagi_mirror_push_event(&mirror, (uint16_t)kind, arg, time_ms);
    feagi_wasm_ring();
}

// Where a page lies: its offset in the region; its length is in `result`.
FEAGI_WASM_EXPORT(page_at) uint32_t feagi_wasm_page_at(feagi_wasm_seat_t *seat, uint32_t page) {
    uint32_t len_bytes;
    const uint32_t at = feagi_region_page(&seat->region, page, &len_bytes);
    seat->result[0] = len_bytes;
    return at;
}

#endif
