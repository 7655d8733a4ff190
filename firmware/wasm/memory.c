// Where things lie in the module's memory: seats, the region, and room for an image. And what takes the region as a whole: making
// it, snapshots, restoring.
#include "feagi_events.h"
#include "feagi_wasm.h"
#include "feagi_write.h"

feagi_wasm_world_t feagi_wasm_world;
#define world feagi_wasm_world
static feagi_wasm_seat_t seats[FEAGI_WASM_SEATS];

extern uint8_t __heap_base; // the linker's: behind all that is static

static uint32_t aligned(uint32_t at) {
    return (at + FEAGI_SECTION_ALIGN_BYTES - 1) & ~(FEAGI_SECTION_ALIGN_BYTES - 1);
}

// Bytes that a region and what its writers need take.
static uint32_t held_len(uint32_t region_len_bytes) {
#if FEAGI_PORT_SHARED
    return feagi_shared_len(region_len_bytes);
#else
    return region_len_bytes;
#endif
}

uint32_t feagi_wasm_lay_out(uint32_t held_len_bytes, uint32_t region_len_bytes) {
    world.region_at = aligned((uint32_t)(uintptr_t)&__heap_base);
    world.room_at = aligned(world.region_at + held_len_bytes);
    return world.room_at + (uint32_t)sizeof(feagi_image_t) + region_len_bytes;
}

// Lays the memory out for a region of this profile. Returns how long it must be, 0 for no profile.
FEAGI_WASM_EXPORT(memory_len) uint32_t feagi_wasm_memory_len(uint32_t profile_id) {
    const feagi_profile_t *profile = feagi_region_profile((uint8_t)profile_id);
    if (!profile) {
        return 0;
    }
    const uint32_t region_len = feagi_region_len(profile);
    return feagi_wasm_lay_out(held_len(region_len), region_len);
}

static uint8_t *region_mem(void) {
    return (uint8_t *)(uintptr_t)world.region_at;
}
static uint8_t *room_mem(void) {
    return (uint8_t *)(uintptr_t)world.room_at;
}

// ---- Addresses, for JavaScript

FEAGI_WASM_EXPORT(world) feagi_wasm_world_t *feagi_wasm_world_at(void) {
    return &world;
}
FEAGI_WASM_EXPORT(region) uint8_t *feagi_wasm_region_at(void) {
    return region_mem();
}
FEAGI_WASM_EXPORT(room) uint8_t *feagi_wasm_room_at(void) {
    return room_mem();
}
FEAGI_WASM_EXPORT(seat) feagi_wasm_seat_t *feagi_wasm_seat_at(uint32_t index) {
    return &seats[index];
}
FEAGI_WASM_EXPORT(seat_result) uint64_t *feagi_wasm_result_at(feagi_wasm_seat_t *seat) {
    return seat->result;
}
FEAGI_WASM_EXPORT(seat_text) uint8_t *feagi_wasm_text_at(feagi_wasm_seat_t *seat) {
    return seat->text;
}
FEAGI_WASM_EXPORT(seat_stack_top) uint8_t *feagi_wasm_stack_top_of(feagi_wasm_seat_t *seat) {
    return seat->stack + sizeof seat->stack;
}

// ---- Seats. Of a word: who reserves a free seat makes a new generation, so that no two that sat here have one id.

#if FEAGI_PORT_SHARED
enum { FEAGI_WASM_FREE, FEAGI_WASM_RESERVED, FEAGI_WASM_TAKEN, FEAGI_WASM_STATES = 4 };

// Gives time to whoever has the lock, for the `tries`th time in a row. Nonzero: it has been waited for long enough.
__attribute__((import_module("env"), import_name("pause"))) int feagi_wasm_import_pause(uint32_t tries);

static uint32_t id_of(uint32_t index, uint32_t word) {
    return word / FEAGI_WASM_STATES * FEAGI_WASM_SEATS + index + 1;
}

// Whether somebody with this id sits, or will sit, on a seat.
static bool is_seated(uint64_t id) {
    const uint32_t index = (uint32_t)(id - 1) % FEAGI_WASM_SEATS;
    const uint32_t word = __atomic_load_n(&world.seats[index], __ATOMIC_SEQ_CST);
    return word % FEAGI_WASM_STATES != FEAGI_WASM_FREE && id_of(index, word) == id;
}

static bool change_seat(uint32_t index, uint32_t from, uint32_t to) {
    return feagi_port_cas_u32(&world.seats[index], from, to);
}

// feagi_share_t.wait: a seat that was given back is of no living thread.
static int wait_for(void *context, uint64_t owner, uint32_t tries) {
    (void)context;
    return !is_seated(owner) ? FEAGI_SHARED_GONE : feagi_wasm_import_pause(tries) ? FEAGI_SHARED_GIVE_UP : FEAGI_SHARED_WAIT;
}

static void set_share(feagi_wasm_seat_t *seat, uint32_t id) {
    seat->id = id;
    seat->share.self = &seat->id;
    seat->share.wait = wait_for;
    seat->share.context = NULL;
    seat->share.cached_clock = world.manual_clock;
    seat->share.one_consumer = true;
}

// Reserves a seat for another thread. Returns its index with the id in `result`, or FEAGI_ERR_FULL.
FEAGI_WASM_EXPORT(reserve) int feagi_wasm_reserve(feagi_wasm_seat_t *seat) {
    for (uint32_t index = 0; index < FEAGI_WASM_SEATS; index++) {
        const uint32_t word = __atomic_load_n(&world.seats[index], __ATOMIC_SEQ_CST);
        const uint32_t next = word + FEAGI_WASM_STATES;
        if (word % FEAGI_WASM_STATES == FEAGI_WASM_FREE && change_seat(index, word, next + FEAGI_WASM_RESERVED)) {
            seat->result[0] = id_of(index, next);
            return (int)index;
        }
    }
    return FEAGI_ERR_FULL;
}

// Sits down on the reserved seat of this id. Returns 0, FEAGI_ERR_NOT_FOUND (it is reserved no more), FEAGI_ERR_EXISTS (somebody
// sits there) or FEAGI_ERR_LAYOUT.
FEAGI_WASM_EXPORT(sit) int feagi_wasm_sit(uint32_t index, uint32_t id) {
    const uint32_t word = __atomic_load_n(&world.seats[index], __ATOMIC_SEQ_CST);
    if (!is_seated(id)) {
        return FEAGI_ERR_NOT_FOUND;
    }
    const uint32_t taken = word - FEAGI_WASM_RESERVED + FEAGI_WASM_TAKEN;
    if (word % FEAGI_WASM_STATES != FEAGI_WASM_RESERVED || !change_seat(index, word, taken)) {
        return FEAGI_ERR_EXISTS;
    }
    set_share(&seats[index], id);
    return feagi_shared_attach(&seats[index].region, &seats[index].share, region_mem(), world.room_at - world.region_at);
}

// Gives back the seat of this id, whose thread has ended or never sat down: what it held is free. Returns 0 or
// FEAGI_ERR_NOT_FOUND.
FEAGI_WASM_EXPORT(release) int feagi_wasm_release(uint32_t id) {
    const uint32_t index = (id - 1) % FEAGI_WASM_SEATS;
    const uint32_t word = __atomic_load_n(&world.seats[index], __ATOMIC_SEQ_CST);
    const uint32_t free = word / FEAGI_WASM_STATES * FEAGI_WASM_STATES + FEAGI_WASM_FREE;
    return id && is_seated(id) && change_seat(index, word, free) ? 0 : FEAGI_ERR_NOT_FOUND;
}
#endif

// ---- The room, which one thread has at a time

// Returns 0 or FEAGI_ERR_BUSY.
FEAGI_WASM_EXPORT(take_room) int feagi_wasm_take_room(const feagi_wasm_seat_t *seat) {
#if FEAGI_PORT_SHARED
    for (uint32_t tries = 0; !feagi_port_cas_u32(&world.room_owner, 0, (uint32_t)seat->id); tries++) {
        const uint32_t owner = feagi_port_load_u32(&world.room_owner);
        const int answer = owner ? wait_for(NULL, owner, tries) : FEAGI_SHARED_WAIT;
        if (answer == FEAGI_SHARED_GIVE_UP) {
            return FEAGI_ERR_BUSY;
        }
        if (answer == FEAGI_SHARED_GONE && feagi_port_cas_u32(&world.room_owner, owner, (uint32_t)seat->id)) {
            break;
        }
    }
#endif
    (void)seat;
    return 0;
}

FEAGI_WASM_EXPORT(free_room) void feagi_wasm_free_room(void) {
    feagi_port_store_u32(&world.room_owner, 0);
}

// ---- The region as a whole

// Makes a new region on the first seat, where memory_len has laid it out. `manual_clock`: times are what `tick` says,
// milliseconds since the owner's start. Set-up only. Returns 0, FEAGI_ERR_LAYOUT or FEAGI_ERR_LENGTH.
FEAGI_WASM_EXPORT(create) int feagi_wasm_create(uint32_t profile, uint32_t boot_id, uint32_t manual_clock) {
    feagi_wasm_seat_t *seat = &seats[0];
    const uint32_t len = world.room_at - world.region_at;
    world.manual_clock = manual_clock != 0;
#if FEAGI_PORT_SHARED
    world.seats[0] = FEAGI_WASM_TAKEN;
    set_share(seat, id_of(0, world.seats[0]));
    const int status = feagi_shared_init(&seat->region, &seat->share, region_mem(), len, (uint8_t)profile, boot_id, 0);
#else
    seat->id = 1;
    const int status = feagi_region_init(&seat->region, region_mem(), len, (uint8_t)profile, boot_id);
#endif
    if (!status) {
        ((feagi_header_t *)(void *)seat->region.base)->flags = manual_clock ? 0 : FEAGI_FLAG_UNIX_TIME;
    }
    return status;
}

// A host's ring has no consumer: the newest events have taken the oldest ones' places.
static void pass_over_lost_events(feagi_region_t *r) {
    feagi_ring_t *ring = (feagi_ring_t *)(void *)(r->base + r->events_at);
    if (ring->head - ring->tail > r->events_mask + 1) {
        ring->tail = ring->head - (r->events_mask + 1);
    }
}

// Makes a region, which nobody has used yet, what lies in the room: a whole region of `len_bytes`, its boot id and its waiting
// events included. Set-up only. Returns FEAGI_IMAGE_GOOD or what is wrong (feagi_image.h).
FEAGI_WASM_EXPORT(adopt) int feagi_wasm_adopt(feagi_wasm_seat_t *seat, uint32_t len_bytes) {
    feagi_region_t *r = &seat->region, given;
    if (feagi_region_attach(&given, room_mem(), len_bytes)) {
        return FEAGI_IMAGE_HEADER;
    }
    if (given.len_bytes != r->len_bytes) {
        return FEAGI_IMAGE_PROFILE;
    }
    const int wrong = feagi_image_check(room_mem(), given.events_at);
    if (wrong) {
        return wrong;
    }
    feagi_port_copy(r->base, given.base, r->len_bytes);
    pass_over_lost_events(r);
    // Its times are of the clock that it says, which goes on from its last one.
    world.manual_clock = !(((const feagi_header_t *)(const void *)r->base)->flags & FEAGI_FLAG_UNIX_TIME);
#if FEAGI_PORT_SHARED
    r->cached_clock = seat->share.cached_clock = world.manual_clock;
#endif
    feagi_region_set_time(r, *feagi_region_u64(r, FEAGI_WRITE_LAST_MODIFIED_AT));
    return FEAGI_IMAGE_GOOD;
}

// Writes an image of the region, as it is at one instant, into the room, which the caller has taken. Returns its length or
// FEAGI_ERR_BUSY.
FEAGI_WASM_EXPORT(snapshot) int feagi_wasm_snapshot(feagi_wasm_seat_t *seat) {
    const feagi_region_t *r = &seat->region;
    feagi_wasm_clock(seat);
#if FEAGI_PORT_SHARED
    uint64_t *copy = (uint64_t *)(void *)(room_mem() + sizeof(feagi_image_t));
    int status = feagi_shared_snapshot(r, copy, 0, r->events_at, 100);
    if (status) {
        status = feagi_shared_snapshot_locked(&seat->region, copy, 0, r->events_at);
    }
    if (status) {
        return status;
    }
    feagi_image_seal(room_mem(), r->events_at, feagi_write_now(r));
#else
    feagi_image_save(r, room_mem());
#endif
    return (int)feagi_image_len(r);
}

// What is wrong with the image in the room, which is `len_bytes` long: FEAGI_IMAGE_GOOD to _CRC (feagi_image.h).
FEAGI_WASM_EXPORT(image_fault) int feagi_wasm_image_fault(uint32_t len_bytes) {
    feagi_region_t saved;
    return feagi_image_open(&saved, room_mem(), len_bytes);
}

// Makes the region what the image in the room says, which is `len_bytes` long; the caller has taken the room. Returns
// FEAGI_IMAGE_GOOD, what is wrong (feagi_image.h), FEAGI_ERR_FULL or FEAGI_ERR_BUSY.
FEAGI_WASM_EXPORT(restore) int feagi_wasm_restore(feagi_wasm_seat_t *seat, uint32_t len_bytes) {
    feagi_region_t saved;
    int status = feagi_image_open(&saved, room_mem(), len_bytes);
    if (status) {
        return status;
    }
    feagi_wasm_clock(seat);
#if FEAGI_PORT_SHARED
    status = saved.len_bytes == seat->region.len_bytes ? feagi_shared_restore(&seat->region, saved.base) : FEAGI_IMAGE_PROFILE;
#else
    status = feagi_image_restore(&seat->region, &saved);
#endif
    if (!status) {
        feagi_wasm_ring();
    }
    return status;
}
