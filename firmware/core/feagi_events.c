#include "feagi_events.h"

static feagi_ring_t *ring_of(const feagi_region_t *r) {
    return (feagi_ring_t *)(void *)(r->base + r->events_at);
}

static feagi_event_t *slot_of(const feagi_region_t *r, uint32_t position) {
    uint32_t at = r->events_at + (uint32_t)sizeof(feagi_ring_t) + (position & r->events_mask) * (uint32_t)sizeof(feagi_event_t);
    return (feagi_event_t *)(void *)(r->base + at);
}

int feagi_events_push(feagi_region_t *r, uint16_t kind, uint32_t arg) {
    feagi_ring_t *ring = ring_of(r);
    // Producers one at a time: the section makes one of the main context, of interrupts and of a host's commands.
    feagi_port_key_t key = feagi_port_lock();
    uint32_t head = ring->head; // the producer's own: nobody else writes it
    // Acquire: the consumer's release of a place comes after it has read the place.
    bool full = head - feagi_port_load_u32(&ring->tail) > r->events_mask;
    if (full) {
        feagi_port_store_u32(&ring->rejected, ring->rejected + 1);
    } else {
        feagi_event_t *slot = slot_of(r, head); // free: the consumer does not look at it until head moves
        slot->kind = kind;
        slot->reserved = 0;
        slot->arg = arg;
        slot->time_ms = (uint32_t)r->now_ms;
        feagi_port_store_u32(&slot->sequence, head + 1);
        feagi_port_store_u32(&ring->head, head + 1); // release: the event is whole before it can be seen
    }
    feagi_port_unlock(key);
    return full ? FEAGI_ERR_FULL : 0;
}

int feagi_events_peek(const feagi_region_t *r, uint32_t ahead, feagi_event_t *event) {
    const feagi_ring_t *ring = ring_of(r);
    uint32_t tail = ring->tail; // the consumer's own
    // Acquire: what the producer wrote before it moved head is visible.
    if (feagi_port_load_u32(&ring->head) - tail <= ahead) {
        return 0;
    }
    *event = *slot_of(r, tail + ahead);
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

uint32_t feagi_events_rejected(const feagi_region_t *r) {
    return feagi_port_load_u32(&ring_of(r)->rejected);
}
