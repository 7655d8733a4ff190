// The event ring. It is used in one of two ways.
//
// On a board: one producer at a time, one consumer. A full ring rejects the event and counts it. Where the port has interrupts to
// lock out, every context of the device may push: the section in push makes them one producer. Where it has none (x86-64,
// aarch64) the region's one writing thread is the producer. The consumer is the link, or the application where there is no link;
// it takes no lock.
//
// On a host (shared regions, mirrors): every reader has a position of its own and reads all; the newest event takes the oldest
// one's place, and a reader that is slow learns how many it lost. No writer waits for a reader.
//
// A shared region whose handles say one_consumer (feagi_shared.h) has a board's ring: whoever holds the lock is the producer, one
// thread is the consumer.
//
// Positions count events since start and wrap at 2^32.
#ifndef FEAGI_EVENTS_H
#define FEAGI_EVENTS_H

#include "feagi_region.h"

// Result of feagi_events_read.
enum {
    FEAGI_EVENTS_NONE = 0,
    FEAGI_EVENTS_READ = 1,
    FEAGI_EVENTS_LOST = 2,
};

// Appends an event with the region's time. On a board producer only, ISR-safe; in a shared region any thread. Returns 0,
// FEAGI_ERR_FULL (the event is dropped and counted; not where every reader has a position) or FEAGI_ERR_BUSY (in a shared
// region).
int feagi_events_push(feagi_region_t *r, uint16_t kind, uint32_t arg);

// The same within a group that is open (feagi_write.h). Producer only. Returns 0 or FEAGI_ERR_FULL.
int feagi_events_put(feagi_region_t *r, uint16_t kind, uint32_t arg);

#if FEAGI_PORT_SHARED
// Whether there is a place for the event at `position`. If not, counts it as rejected. Holder of the lock of a region with one
// consumer only.
bool feagi_events_admit(feagi_region_t *r, uint32_t position);
#endif

// Copies the event `ahead` places behind the oldest one, which stays in the ring. Consumer only.
// Returns 1, or 0 if there are not so many.
int feagi_events_peek(const feagi_region_t *r, uint32_t ahead, feagi_event_t *event);

// Gives the `count` oldest events' places back to the producer; count is at most the number of events seen by peek. Consumer
// only.
void feagi_events_release(feagi_region_t *r, uint32_t count);

// Takes the oldest event: peek and release. Consumer only. Returns 1, or 0 if there is none.
int feagi_events_pop(feagi_region_t *r, feagi_event_t *event);

// Adds to the times of the events that nobody took yet, up to position `head`. Consumer only: until it releases them they are
// its own.
void feagi_events_shift(feagi_region_t *r, uint32_t head, uint32_t by_ms);

// Events rejected since start; wraps at 2^32. Any context.
uint32_t feagi_events_rejected(const feagi_region_t *r);

// The position that the next event will get. Any context.
uint32_t feagi_events_head(const feagi_region_t *r);

// Appends an event over the oldest one. For the one writer of a region that is not shared: a mirror's owner.
void feagi_events_broadcast(feagi_region_t *r, uint16_t kind, uint32_t arg, uint32_t time_ms);

// Copies the event at `position` to `out`. Never waits. Any reader of a host's region, each with a position of its own.
// Returns FEAGI_EVENTS_READ, _NONE (not there yet), or _LOST: it was overwritten; go on `*lost` (at least 1) positions further.
int feagi_events_read(const feagi_region_t *r, uint32_t position, feagi_event_t *out, uint32_t *lost);

#endif
