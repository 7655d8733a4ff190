#include "feagi_events.h"

#include "feagi_write.h"

static feagi_ring_t *ring_of(const feagi_region_t *r) {
    return (feagi_ring_t *)(void *)(r->base + r->events_at);
}

// A slot is read and written as two words: sequence, kind and reserved; arg and time_ms.
typedef struct {
    uint64_t first, second;
} slot_t;

static slot_t *slot_of(const feagi_region_t *r, uint32_t position) {
    return (slot_t *)(void *)(r->base + r->events.at) + (position & r->events_mask);
}
static uint64_t first_half(uint32_t position, uint16_t kind) {
    return (position + 1) | (uint64_t)kind << 32;
}
static uint64_t second_half(uint32_t arg, uint64_t time_ms) {
    return arg | time_ms << 32;
}
static void take_apart(feagi_event_t *event, uint64_t first, uint64_t second) {
    event->sequence = (uint32_t)first;
    event->kind = (uint16_t)(first >> 32);
    event->reserved = 0;
    event->arg = (uint32_t)second;
    event->time_ms = (uint32_t)(second >> 32);
}
_Static_assert(sizeof(feagi_event_t) == 16 && offsetof(feagi_event_t, sequence) == 0 && offsetof(feagi_event_t, kind) == 4 &&
                   offsetof(feagi_event_t, arg) == 8 && offsetof(feagi_event_t, time_ms) == 12,
               "an event is made of two words");

// The ring with one consumer.
static int push_exclusive(feagi_region_t *r, uint16_t kind, uint32_t arg) {
    feagi_ring_t *ring = ring_of(r);
    // Producers one at a time: the section makes one of the main context, of interrupts and of a host's commands.
    feagi_port_key_t key = feagi_port_lock();
    uint32_t head = ring->head; // the producer's own: nobody else writes it
    // Acquire: the consumer's release of a place comes after it has read the place.
    bool full = head - feagi_port_load_u32(&ring->tail) > r->events_mask;
    if (full) {
        feagi_port_store_u32(&ring->rejected, ring->rejected + 1);
    } else {
        slot_t *slot = slot_of(r, head); // free: the consumer does not look at it until head moves
        slot->first = first_half(head, kind);
        slot->second = second_half(arg, r->now_ms);
        feagi_port_store_u32(&ring->head, head + 1); // release: the event is whole before it can be seen
    }
    feagi_port_unlock(key);
    return full ? FEAGI_ERR_FULL : 0;
}

#if FEAGI_PORT_SHARED
bool feagi_events_admit(feagi_region_t *r, uint32_t position) {
    feagi_ring_t *ring = ring_of(r);
    if (position - feagi_port_load_u32(&ring->tail) <= r->events_mask) { // acquire: as in push_exclusive
        return true;
    }
    feagi_port_store_u32(&ring->rejected, ring->rejected + 1);
    return false;
}
#endif

int feagi_events_put(feagi_region_t *r, uint16_t kind, uint32_t arg) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        const uint32_t position = ring_of(r)->head + r->share->pushed;
        // Where every reader has a position of its own, the oldest event gives way.
        if (r->share->one_consumer && !feagi_events_admit(r, position)) {
            return FEAGI_ERR_FULL;
        }
        r->share->pushed++;
        feagi_shared_put(r, FEAGI_SHARED_EVENT, position, 0, (uint64_t)kind << 32 | arg, r->share->group_ms);
        return 0;
    }
#endif
    return push_exclusive(r, kind, arg);
}

int feagi_events_push(feagi_region_t *r, uint16_t kind, uint32_t arg) {
    int status = feagi_write_open(r);
    if (!status) {
        status = feagi_events_put(r, kind, arg);
        feagi_write_close(r);
    }
    return status;
}

int feagi_events_peek(const feagi_region_t *r, uint32_t ahead, feagi_event_t *event) {
    const feagi_ring_t *ring = ring_of(r);
    uint32_t tail = ring->tail; // the consumer's own
    // Acquire: what the producer wrote before it moved head is visible.
    if (feagi_port_load_u32(&ring->head) - tail <= ahead) {
        return 0;
    }
    const slot_t *slot = slot_of(r, tail + ahead);
    take_apart(event, slot->first, slot->second);
    return 1;
}

void feagi_events_release(feagi_region_t *r, uint32_t count) {
    feagi_ring_t *ring = ring_of(r);
    feagi_port_store_u32(&ring->tail, ring->tail + count); // release: the events were read before their places are free
}

int feagi_events_pop(feagi_region_t *r, feagi_event_t *event) {
    if (!feagi_events_peek(r, 0, event)) {
        return 0;
    }
    feagi_events_release(r, 1);
    return 1;
}

void feagi_events_shift(feagi_region_t *r, uint32_t head, uint32_t by_ms) {
    for (uint32_t position = ring_of(r)->tail; position != head; position++) {
        slot_of(r, position)->second += (uint64_t)by_ms << 32;
    }
}

uint32_t feagi_events_rejected(const feagi_region_t *r) {
    return feagi_port_load_u32(&ring_of(r)->rejected);
}

uint32_t feagi_events_head(const feagi_region_t *r) {
    return feagi_port_load_u32(&ring_of(r)->head);
}

void feagi_events_broadcast(feagi_region_t *r, uint16_t kind, uint32_t arg, uint32_t time_ms) {
    feagi_ring_t *ring = ring_of(r);
    const uint32_t position = ring->head;
    slot_t *slot = slot_of(r, position);
    // The number first, in release order before the rest: a reader of the slot's old event that has got anything of the new one
    // finds that the number has changed. The new event is not looked at until head moves.
    feagi_port_store_u64(&slot->first, first_half(position, kind));
    feagi_port_store_u64(&slot->second, second_half(arg, time_ms));
    feagi_port_store_u32(&ring->head, position + 1);
}

int feagi_events_read(const feagi_region_t *r, uint32_t position, feagi_event_t *out, uint32_t *lost) {
    const uint32_t capacity = r->events_mask + 1;
    uint32_t behind = feagi_events_head(r) - position;
    if (behind == 0 || behind > UINT32_MAX / 2) {
        return FEAGI_EVENTS_NONE;
    }
    if (behind <= capacity) {
        const slot_t *slot = slot_of(r, position);
        const uint64_t first = feagi_port_load_u64(&slot->first);
        const uint64_t second = feagi_port_load_u64(&slot->second);
        // The writer changes the number before it changes anything else in the slot.
        if ((uint32_t)first == position + 1 && feagi_port_load_u64(&slot->first) == first) {
            take_apart(out, first, second);
            return FEAGI_EVENTS_READ;
        }
        behind = feagi_events_head(r) - position;
    }
    // A writer that is about to overwrite the oldest event has not moved the head yet: then it is that one event.
    *lost = behind > capacity ? behind - capacity : 1;
    return FEAGI_EVENTS_LOST;
}
