// Tables whose slots belong to cortical areas (u32): open addressing from the area's hash. A slot once taken belongs to its area
// for good, so searches need no lock, a slot is claimed by one compare-and-exchange, and whoever dies leaves nothing half done.
#ifndef FEAGI_AREAS_H
#define FEAGI_AREAS_H

#include "feagi_region.h"

// The entry of `area` in a table whose entries begin with {u32 area, u32 used}, or NULL. Any context.
void *feagi_areas_find(const feagi_region_t *r, const feagi_place_t *table, uint32_t area);

// The same, taking a free slot for an area that has none. NULL: the table is full. Any context.
void *feagi_areas_claim(feagi_region_t *r, const feagi_place_t *table, uint32_t area);

// Whether an entry that was found or claimed is (still) this area's. Any context.
bool feagi_areas_is(const void *entry, uint32_t area);

#endif
