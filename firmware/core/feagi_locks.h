// Locks of cortical areas. A lock has an owner, so that only the owner unlocks it, and so that the lock of an owner that is gone
// can be taken over. Lock-free: one compare-and-exchange.
#ifndef FEAGI_LOCKS_H
#define FEAGI_LOCKS_H

#include "feagi_areas.h"

// Locks an area for `owner` (any number but 0). Any context, ISR-safe.
// Returns 0, FEAGI_ERR_LOCKED (somebody has it, be it the same owner), FEAGI_ERR_FULL or FEAGI_ERR_RANGE (owner is 0).
int feagi_locks_try_lock(feagi_region_t *r, uint32_t area, uint64_t owner);

// Gives a lock from `from`, which may be gone, to `to` (0: to nobody). Any context, ISR-safe.
// Returns 0 or FEAGI_ERR_NOT_OWNER: `from` does not have it (any more).
int feagi_locks_take_over(feagi_region_t *r, uint32_t area, uint64_t from, uint64_t to);

// Unlocks an area. Any context, ISR-safe. Returns 0 or FEAGI_ERR_NOT_OWNER (not locked, or by another).
static inline int feagi_locks_unlock(feagi_region_t *r, uint32_t area, uint64_t owner) {
    return feagi_locks_take_over(r, area, owner, 0);
}

// The area's owner, 0 if it is not locked. Wait-free. Any context, ISR-safe.
static inline uint64_t feagi_locks_owner(const feagi_region_t *r, uint32_t area) {
    return feagi_areas_get(r, &r->locks, area);
}

// The area and owner of slot `index` (< r->locks.capacity). Returns 1 if it is locked, else 0. Any context.
static inline int feagi_locks_at(const feagi_region_t *r, uint32_t index, uint32_t *area, uint64_t *owner) {
    *owner = feagi_areas_at(r, &r->locks, index, area);
    return *owner != 0;
}

#endif
