// The region's operations for JavaScript. See feagi_wasm.h for how they are called, and the core's headers for what they do.
#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_frame.h"
#include "feagi_hashes.h"
#include "feagi_locks.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_wasm.h"
#include "feagi_windows.h"

typedef feagi_wasm_seat_t seat_t;

FEAGI_WASM_EXPORT(tick) void feagi_wasm_tick(seat_t *seat, double now_ms) {
    feagi_region_set_time(&seat->region, (uint64_t)now_ms);
}

FEAGI_WASM_EXPORT(digest) uint32_t feagi_wasm_digest(const seat_t *seat) {
    return feagi_region_digest(&seat->region);
}

// ---- Fields and hashes, which JavaScript reads itself

// `value`: a whole number that a double holds.
FEAGI_WASM_EXPORT(write64) int feagi_wasm_write64(seat_t *seat, uint32_t field, uint32_t how, uint64_t value) {
    feagi_wasm_clock(seat);
    return feagi_wasm_wrote(feagi_state_write(&seat->region, field, how, value, &seat->result[0]));
}
FEAGI_WASM_EXPORT(write) int feagi_wasm_write(seat_t *seat, uint32_t field, uint32_t how, double value) {
    return feagi_wasm_write64(seat, field, how, (uint64_t)value);
}
FEAGI_WASM_EXPORT(write_hash) void feagi_wasm_write_hash(seat_t *seat, uint32_t index, uint64_t value) {
    feagi_hashes_set(&seat->region, index, value);
    feagi_wasm_ring();
}

// ---- Agents. An id lies in front of its metadata.

FEAGI_WASM_EXPORT(agent_register)
int feagi_wasm_agent_register(seat_t *seat, uint32_t id_len, uint32_t agent_type, uint32_t metadata_len) {
    if (agent_type > UINT8_MAX) {
        return FEAGI_ERR_RANGE;
    }
    uint32_t handle = 0;
    feagi_wasm_clock(seat);
    const int status =
        feagi_agents_register(&seat->region, seat->text, id_len, (uint8_t)agent_type, seat->text + id_len, metadata_len, &handle);
    seat->result[0] = handle;
    return feagi_wasm_wrote(status);
}
FEAGI_WASM_EXPORT(agent_deregister) int feagi_wasm_agent_deregister(seat_t *seat, uint32_t id_len) {
    feagi_wasm_clock(seat);
    return feagi_wasm_wrote(feagi_agents_deregister(&seat->region, seat->text, id_len));
}
FEAGI_WASM_EXPORT(agent_heartbeat) int feagi_wasm_agent_heartbeat(seat_t *seat, uint32_t id_len) {
    feagi_wasm_clock(seat);
    return feagi_wasm_wrote(feagi_agents_heartbeat(&seat->region, seat->text, id_len));
}
FEAGI_WASM_EXPORT(agent_heartbeat_handle) int feagi_wasm_agent_heartbeat_handle(seat_t *seat, uint32_t handle) {
    feagi_wasm_clock(seat);
    return feagi_wasm_wrote(feagi_agents_heartbeat_handle(&seat->region, handle));
}
FEAGI_WASM_EXPORT(agents_evict) int feagi_wasm_agents_evict(seat_t *seat, double older_than_ms) {
    feagi_wasm_clock(seat);
    return feagi_wasm_wrote(feagi_agents_evict(&seat->region, (uint64_t)older_than_ms));
}
FEAGI_WASM_EXPORT(agent_find) int feagi_wasm_agent_find(const seat_t *seat, uint32_t id_len) {
    return feagi_agents_find(&seat->region, seat->text, id_len);
}
// Copies a slot to `text`: feagi_agent_t and its metadata. 1 if it is that of a registered agent, else 0.
FEAGI_WASM_EXPORT(agent_read) int feagi_wasm_agent_read(seat_t *seat, uint32_t slot) {
    return feagi_agents_read(&seat->region, slot, (uint64_t *)(void *)seat->text);
}
_Static_assert(offsetof(feagi_wasm_seat_t, text) % 8 == 0, "an agent is read in words of 64 bits");

// ---- Cortical locks and FCL windows

FEAGI_WASM_EXPORT(lock_take) int feagi_wasm_lock_take(seat_t *seat, uint32_t area, uint64_t owner) {
    return feagi_wasm_wrote(feagi_locks_try_lock(&seat->region, area, owner));
}
FEAGI_WASM_EXPORT(lock_give) int feagi_wasm_lock_give(seat_t *seat, uint32_t area, uint64_t from, uint64_t to) {
    return feagi_wasm_wrote(feagi_locks_take_over(&seat->region, area, from, to));
}
FEAGI_WASM_EXPORT(lock_owner) uint64_t feagi_wasm_lock_owner(const seat_t *seat, uint32_t area) {
    return feagi_locks_owner(&seat->region, area);
}
// 1 with area and owner of a slot in `result`, 0 if it is not locked.
FEAGI_WASM_EXPORT(lock_at) int feagi_wasm_lock_at(seat_t *seat, uint32_t slot) {
    uint32_t area;
    const int locked = feagi_locks_at(&seat->region, slot, &area, &seat->result[1]);
    seat->result[0] = area;
    return locked;
}

FEAGI_WASM_EXPORT(window) uint32_t feagi_wasm_window(const seat_t *seat, uint32_t area) {
    return feagi_windows_get(&seat->region, area);
}
FEAGI_WASM_EXPORT(window_set) int feagi_wasm_window_set(seat_t *seat, uint32_t area, uint32_t window) {
    return feagi_wasm_wrote(feagi_windows_set(&seat->region, area, window));
}
FEAGI_WASM_EXPORT(window_remove) int feagi_wasm_window_remove(seat_t *seat, uint32_t area) {
    return feagi_wasm_wrote(feagi_windows_remove(&seat->region, area));
}
FEAGI_WASM_EXPORT(window_default) uint32_t feagi_wasm_window_default(const seat_t *seat) {
    return feagi_windows_default(&seat->region);
}
FEAGI_WASM_EXPORT(window_set_default) void feagi_wasm_window_set_default(seat_t *seat, uint32_t window) {
    feagi_windows_set_default(&seat->region, window);
    feagi_wasm_ring();
}
// 1 with area and window of a slot in `result`, 0 if it has no window of its own.
FEAGI_WASM_EXPORT(window_at) int feagi_wasm_window_at(seat_t *seat, uint32_t slot) {
    uint32_t area, window;
    const int present = feagi_windows_at(&seat->region, slot, &area, &window);
    seat->result[0] = area;
    seat->result[1] = window;
    return present;
}

// ---- Statistics of areas

FEAGI_WASM_EXPORT(stats_init) int feagi_wasm_stats_init(seat_t *seat, uint32_t id_len) {
    return feagi_wasm_wrote(feagi_stats_init(&seat->region, seat->text, id_len));
}
FEAGI_WASM_EXPORT(stats_find) int feagi_wasm_stats_find(const seat_t *seat, uint32_t id_len) {
    return feagi_stats_find(&seat->region, seat->text, id_len);
}
// Copies a slot's id to `text` and its counts to `result`. Returns the id's length, 0 if the slot is unused.
FEAGI_WASM_EXPORT(stats_at) int feagi_wasm_stats_at(seat_t *seat, uint32_t slot) {
    const feagi_stat_t *stat = feagi_stats_at(&seat->region, slot);
    const uint8_t len = stat->id_len;
    if (!feagi_port_load_u8(&stat->state) || len > sizeof stat->id) {
        return 0;
    }
    feagi_port_copy(seat->text, stat->id, len);
    for (unsigned count = 0; count < FEAGI_STATS_COUNTS; count++) {
        seat->result[count] = feagi_stats_get(&seat->region, slot, count);
    }
    return len;
}
// Changes one area's counts together. `kinds`: FEAGI_STATS_KEEP to _SUBTRACT of each count, two bits each.
FEAGI_WASM_EXPORT(stats_update)
int feagi_wasm_stats_update(seat_t *seat, uint32_t id_len, uint32_t kinds, uint32_t neurons, uint32_t incoming,
                            uint32_t outgoing) {
    const feagi_stats_change_t changes[FEAGI_STATS_COUNTS] = {
        [FEAGI_STATS_NEURONS] = {kinds & 3, neurons},
        [FEAGI_STATS_INCOMING] = {kinds >> 2 & 3, incoming},
        [FEAGI_STATS_OUTGOING] = {kinds >> 4 & 3, outgoing},
    };
    return feagi_wasm_wrote(feagi_stats_update(&seat->region, seat->text, id_len, changes));
}

// ---- The ring

FEAGI_WASM_EXPORT(event_push) int feagi_wasm_event_push(seat_t *seat, uint32_t kind, uint32_t arg) {
    feagi_wasm_clock(seat);
    return feagi_wasm_wrote(feagi_events_push(&seat->region, (uint16_t)kind, arg));
}
// 1 with kind, arg and time in `result`, or 0. Consumer only.
FEAGI_WASM_EXPORT(event_pop) int feagi_wasm_event_pop(seat_t *seat) {
    feagi_event_t event;
    if (!feagi_events_pop(&seat->region, &event)) {
        return 0;
    }
    seat->result[0] = event.kind;
    seat->result[1] = event.arg;
    seat->result[2] = event.time_ms;
    return 1;
}

// ---- Frames

// Makes a frame of `text`'s first `payload_len` bytes, which are CBOR items, and leaves it there. Returns its length, or
// FEAGI_ERR_LENGTH.
FEAGI_WASM_EXPORT(frame_encode)
int feagi_wasm_frame_encode(seat_t *seat, uint32_t kind, uint32_t seq, uint32_t payload_len, uint32_t seed) {
    if (payload_len > FEAGI_FRAME_PAYLOAD_BYTES) {
        return FEAGI_ERR_LENGTH;
    }
    uint8_t payload[FEAGI_FRAME_PAYLOAD_BYTES];
    feagi_port_copy(payload, seat->text, payload_len);
    feagi_frame_out_t out;
    feagi_frame_start(&out, seat->text, FEAGI_FRAME_LEN_BYTES - 4, (uint8_t)kind, (uint8_t)seq);
    feagi_frame_put_raw(&out, payload, payload_len);
    return (int)feagi_frame_finish(&out, seed);
}
_Static_assert(FEAGI_WASM_TEXT_BYTES >= FEAGI_FRAME_WIRE_BYTES, "a frame has room in `text`");

// The first valid frame in `text`'s first `len` bytes: 1 with kind, seq and payload's length in `result`, and the payload at the
// beginning of `text`; 0 if there is none.
FEAGI_WASM_EXPORT(frame_decode) int feagi_wasm_frame_decode(seat_t *seat, uint32_t len, uint32_t seed) {
    uint8_t body[FEAGI_FRAME_LEN_BYTES];
    feagi_frame_in_t in;
    feagi_frame_in_init(&in, body, sizeof body);
    for (uint32_t i = 0; i < len && i < sizeof seat->text; i++) {
        const int got = feagi_frame_feed(&in, seat->text[i]);
        feagi_frame_t frame;
        if (got > 0 && feagi_frame_check(body, (uint16_t)got, seed, &frame) == 0) {
            seat->result[0] = frame.kind;
            seat->result[1] = frame.seq;
            seat->result[2] = frame.len;
            feagi_port_copy(seat->text, frame.payload, frame.len);
            return 1;
        }
    }
    return 0;
}
