// Tables whose slots belong to cortical areas (u32). A slot once taken belongs to its area for good, so searches need no lock, a
// slot is claimed by one compare-and-exchange, and whoever dies leaves nothing half done.
//
// Entries begin with {u32 area, u32 used}; behind that, at FEAGI_AREAS_VALUE, lies what an area has, a word of 64 bits.
#ifndef FEAGI_AREAS_H
#define FEAGI_AREAS_H

#include "feagi_table.h"
#include "feagi_write.h"

#define FEAGI_AREAS_VALUE 8u

// Offset in the region of an area's entry, or 0. Any context.
uint32_t feagi_areas_find(const feagi_region_t *r, const feagi_place_t *place, uint32_t area);

// The same, taking a free slot for an area that has none. 0: the table is full. Any context.
uint32_t feagi_areas_claim(feagi_region_t *r, const feagi_place_t *place, uint32_t area);

// Whether the entry at an offset that was found or claimed is (still) this area's. Any context.
bool feagi_areas_is(const feagi_region_t *r, uint32_t at, uint32_t area);

// What an area has, 0 if it has no entry. Wait-free. Any context, ISR-safe.
uint64_t feagi_areas_get(const feagi_region_t *r, const feagi_place_t *place, uint32_t area);

// Area and value of slot `index` (< place->capacity). The area never changes once the slot has a value. Any context.
static inline uint64_t feagi_areas_at(const feagi_region_t *r, const feagi_place_t *place, uint32_t index, uint32_t *area) {
    const uint32_t at = feagi_table_at(place, index);
    const uint64_t value = feagi_write_load(r, at + FEAGI_AREAS_VALUE, 8);
    *area = (uint32_t)feagi_write_load(r, at, 4);
    return value;
}

#endif
