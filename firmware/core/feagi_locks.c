#include "feagi_locks.h"

#include "feagi_areas.h"
#include "feagi_write.h"

static int exchange(feagi_region_t *r, feagi_lock_t *lock, uint64_t from, uint64_t to) {
    feagi_port_key_t key = feagi_write_begin(r); // owner and mark are one to the link
    bool done = feagi_port_cas_u64(&lock->owner, from, to);
    if (done) {
        feagi_write_mark(r, (uint32_t)((uint8_t *)&lock->owner - r->base), sizeof lock->owner);
        feagi_write_count(r);
    }
    feagi_write_end(r, key);
    return done ? 0 : FEAGI_ERR_LOCKED;
}

int feagi_locks_try_lock(feagi_region_t *r, uint32_t area, uint64_t owner) {
    if (!owner) {
        return FEAGI_ERR_RANGE;
    }
    feagi_lock_t *lock = feagi_areas_claim(r, &r->locks, area);
    return lock ? exchange(r, lock, 0, owner) : FEAGI_ERR_FULL;
}

int feagi_locks_unlock(feagi_region_t *r, uint32_t area, uint64_t owner) {
    return feagi_locks_take_over(r, area, owner, 0);
}

int feagi_locks_take_over(feagi_region_t *r, uint32_t area, uint64_t from, uint64_t to) {
    feagi_lock_t *lock = feagi_areas_find(r, &r->locks, area);
    return lock && from && !exchange(r, lock, from, to) ? 0 : FEAGI_ERR_NOT_OWNER;
}

uint64_t feagi_locks_owner(const feagi_region_t *r, uint32_t area) {
    const feagi_lock_t *lock = feagi_areas_find(r, &r->locks, area);
    return lock ? feagi_port_load_u64(&lock->owner) : 0;
}

int feagi_locks_at(const feagi_region_t *r, uint32_t index, uint32_t *area, uint64_t *owner) {
    const feagi_lock_t *lock = (const feagi_lock_t *)(const void *)(r->base + r->locks.at) + index;
    *owner = feagi_port_load_u64(&lock->owner);
    *area = feagi_port_load_u32(&lock->area); // never changes once the slot has an owner
    return *owner != 0;
}
