// The event ring: one producer at a time, one consumer. A full ring rejects the event and counts it.
//
// Where the port has interrupts to lock out, every context of the device may push: the section in push makes them one producer.
// Where it has none (x86-64, aarch64) the region's one writing thread is the producer. The consumer is the link, or the
// application where there is no link; it takes no lock. Positions count events since start and wrap at 2^32.
#ifndef FEAGI_EVENTS_H
#define FEAGI_EVENTS_H

#include "feagi_region.h"

// Appends an event with the region's time. One critical section of about 25 instructions. Producer only; ISR-safe.
// Returns 0, or FEAGI_ERR_FULL: the event is dropped and counted.
int feagi_events_push(feagi_region_t *r, uint16_t kind, uint32_t arg);

// Copies the event `ahead` places behind the oldest one, which stays in the ring. Consumer only.
// Returns 1, or 0 if there are not so many.
int feagi_events_peek(const feagi_region_t *r, uint32_t ahead, feagi_event_t *event);

// Gives the `count` oldest events' places back to the producer; count is at most the number of events seen by peek. Consumer
// only.
void feagi_events_release(feagi_region_t *r, uint32_t count);

// Takes the oldest event: peek and release. Consumer only. Returns 1, or 0 if there is none.
int feagi_events_pop(feagi_region_t *r, feagi_event_t *event);

// Events rejected since start; wraps at 2^32. Any context.
uint32_t feagi_events_rejected(const feagi_region_t *r);

#endif
