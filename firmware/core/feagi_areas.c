#include "feagi_areas.h"

static const feagi_table_t by_area = {
    .state_at = offsetof(feagi_lock_t, used),
    .key_len_at = offsetof(feagi_lock_t, used),
    .key_at = offsetof(feagi_lock_t, area),
    .key_bytes = sizeof(((feagi_lock_t *)0)->area),
};
_Static_assert(offsetof(feagi_window_t, used) == offsetof(feagi_lock_t, used) &&
                   offsetof(feagi_window_t, area) == offsetof(feagi_lock_t, area) &&
                   offsetof(feagi_lock_t, owner) == FEAGI_AREAS_VALUE && offsetof(feagi_window_t, window) == FEAGI_AREAS_VALUE,
               "entries of areas are alike");

// area and used as one word.
static uint64_t entry_of(uint32_t area) {
    return (uint64_t)FEAGI_TABLE_USED << 32 | area;
}

static FEAGI_PORT_ONCE uint32_t search_area(const feagi_region_t *r, const feagi_place_t *place, uint32_t area,
                                            uint32_t *free_slot) {
    feagi_key_t key;
    key.words[0] = area;
    key.hash = area * 0x9e3779b9u; // Fibonacci hashing: neighbouring areas are spread
    key.len = FEAGI_TABLE_USED;
    return feagi_table_search(r, place, &by_area, &key, free_slot);
}

uint32_t feagi_areas_find(const feagi_region_t *r, const feagi_place_t *place, uint32_t area) {
    uint32_t free_slot;
    const uint32_t slot = search_area(r, place, area, &free_slot);
    return slot == FEAGI_TABLE_NONE ? 0 : feagi_table_at(place, slot);
}

bool feagi_areas_is(const feagi_region_t *r, uint32_t at, uint32_t area) {
    return feagi_write_load(r, at, 8) == entry_of(area);
}

// Takes a free slot. False if somebody else has taken it since, perhaps for the same area.
static bool take_slot(feagi_region_t *r, const feagi_place_t *place, uint32_t area, uint32_t slot) {
    const uint32_t at = feagi_table_at(place, slot);
#if FEAGI_PORT_SHARED
    if (r->share) {
        const feagi_port_key_t key = feagi_write_begin(r);
        // A restore that this one waited for may have given the area another slot.
        uint32_t free_slot;
        const bool taken = search_area(r, place, area, &free_slot) == FEAGI_TABLE_NONE && free_slot == slot &&
                           feagi_port_cas_u64(feagi_region_u64(r, at), 0, entry_of(area));
        if (taken) {
            feagi_write_count(r, at);
        }
        feagi_write_end(r, key);
        return taken;
    }
#endif
    return feagi_write_exchange(r, at, 0, entry_of(area));
}

uint32_t feagi_areas_claim(feagi_region_t *r, const feagi_place_t *place, uint32_t area) {
    for (;;) {
        uint32_t free_slot;
        const uint32_t slot = search_area(r, place, area, &free_slot);
        if (slot != FEAGI_TABLE_NONE) {
            return feagi_table_at(place, slot);
        }
        if (free_slot == FEAGI_TABLE_NONE || feagi_table_is_full(r, place, &by_area)) {
            return 0;
        }
        if (take_slot(r, place, area, free_slot)) {
            return feagi_table_at(place, free_slot);
        }
    }
}

uint64_t feagi_areas_get(const feagi_region_t *r, const feagi_place_t *place, uint32_t area) {
    const uint32_t at = feagi_areas_find(r, place, area);
    return at ? feagi_write_load(r, at + FEAGI_AREAS_VALUE, 8) : 0;
}
