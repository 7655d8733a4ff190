// The core as a WebAssembly module: what JavaScript sees of it. host/web/src/ is the other side.
//
// One module instance is one thread's. Instances built with threads (FEAGI_PORT_SHARED) share one memory, and with it everything
// here that is static; each of them has a seat: its stack, its handle to the region, and room for what it passes and gets.
//
// Exports return 0, a count, or a negative FEAGI_ERR_*, and leave what else they have to say in the seat's `result`. They trust
// the seat that JavaScript gives them, and no other argument. Texts and frames lie at the beginning of the seat's `text`.
#ifndef FEAGI_WASM_H
#define FEAGI_WASM_H

#include "feagi_image.h"
#include "feagi_region.h"
#include "feagi_shared.h"

#define FEAGI_WASM_EXPORT(name) __attribute__((export_name(#name)))

// Instances that may have one region at the same time.
#define FEAGI_WASM_SEATS (FEAGI_PORT_SHARED ? 16u : 1u)
// A restore of a shared region is what takes most: 24 KiB for three sets of agents' slots.
#define FEAGI_WASM_STACK_BYTES (FEAGI_PORT_SHARED ? 32768u : 8192u)
// The longest text, or frame on the wire with as much text before it.
#define FEAGI_WASM_TEXT_BYTES 1024u

typedef struct {
    // First, so that a stack that grows too far leaves the seat's own data alone.
    _Alignas(16) uint8_t stack[FEAGI_WASM_STACK_BYTES];
    uint64_t result[4];
    uint8_t text[FEAGI_WASM_TEXT_BYTES];
    feagi_region_t region;
    uint64_t id; // of who sits here, never 0: the owner of the region's lock
#if FEAGI_PORT_SHARED
    feagi_share_t share;
#endif
} feagi_wasm_seat_t;

// What all instances of a region have in common.
typedef struct {
    uint32_t bell;     // +1 for every write; first, since JavaScript waits on it
    uint32_t sleepers; // who waits on it
    uint32_t room_owner;
    uint32_t region_at; // address
    uint32_t room_at;   // address of room for an image or a region
    bool manual_clock;  // the time is what `tick` says, else the embedder's
#if FEAGI_PORT_SHARED
    uint32_t seats[FEAGI_WASM_SEATS]; // generation << 2 | FEAGI_WASM_FREE to _TAKEN
#endif
} feagi_wasm_world_t;
extern feagi_wasm_world_t feagi_wasm_world;

// Says where the region lies, with what belongs to it so many bytes long, and the room behind it. Returns how long the memory
// must be.
uint32_t feagi_wasm_lay_out(uint32_t held_len_bytes, uint32_t region_len_bytes);

// Says to those who wait that something was written.
static inline void feagi_wasm_ring(void) {
#if FEAGI_PORT_SHARED
    __atomic_fetch_add(&feagi_wasm_world.bell, 1, __ATOMIC_SEQ_CST);
    // Whoever goes to sleep counts itself, then looks at the bell: one of the two sees the other.
    if (__atomic_load_n(&feagi_wasm_world.sleepers, __ATOMIC_SEQ_CST)) {
        __builtin_wasm_memory_atomic_notify((int *)&feagi_wasm_world.bell, UINT32_MAX);
    }
#else
    feagi_wasm_world.bell++;
#endif
}

// `status`, after a write that succeeded unless it is an error.
static inline int feagi_wasm_wrote(int status) {
    if (status >= 0) {
        feagi_wasm_ring();
    }
    return status;
}

// Brings the clock of a region that one thread writes up to date. Shared ones ask for the time themselves.
static inline void feagi_wasm_clock(feagi_wasm_seat_t *seat) {
#if FEAGI_PORT_SHARED
    (void)seat;
#else
    if (!feagi_wasm_world.manual_clock) {
        feagi_region_set_time(&seat->region, feagi_port_now_ms());
    }
#endif
}

#endif
