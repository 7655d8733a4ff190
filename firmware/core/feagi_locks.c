#include "feagi_locks.h"

int feagi_locks_try_lock(feagi_region_t *r, uint32_t area, uint64_t owner) {
    if (!owner) {
        return FEAGI_ERR_RANGE;
    }
    const uint32_t at = feagi_areas_claim(r, &r->locks, area);
    return !at ? FEAGI_ERR_FULL : feagi_write_exchange(r, at + FEAGI_AREAS_VALUE, 0, owner) ? 0 : FEAGI_ERR_LOCKED;
}

int feagi_locks_take_over(feagi_region_t *r, uint32_t area, uint64_t from, uint64_t to) {
    const uint32_t at = feagi_areas_find(r, &r->locks, area);
    return at && from && feagi_write_exchange(r, at + FEAGI_AREAS_VALUE, from, to) ? 0 : FEAGI_ERR_NOT_OWNER;
}
