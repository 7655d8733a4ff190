// Six u64 that FEAGI's services compare to notice changes.
#ifndef FEAGI_HASHES_H
#define FEAGI_HASHES_H

#include "feagi_write.h"

// Index of a hash.
enum {
    FEAGI_HASHES_BRAIN_REGIONS,
    FEAGI_HASHES_CORTICAL_AREAS,
    FEAGI_HASHES_BRAIN_GEOMETRY,
    FEAGI_HASHES_MORPHOLOGIES,
    FEAGI_HASHES_CORTICAL_MAPPINGS,
    FEAGI_HASHES_AGENT_DATA,
    FEAGI_HASHES_COUNT
};

// One hash, index < FEAGI_HASHES_COUNT. One untorn load. Any context, ISR-safe.
static inline uint64_t feagi_hashes_get(const feagi_region_t *r, unsigned index) {
    return feagi_write_load(r, FEAGI_HASHES_AT + 8 * index, 8);
}

// Stores a hash. Does not count as a write of the core block (as in FEAGI). Any context, ISR-safe.
static inline void feagi_hashes_set(feagi_region_t *r, unsigned index, uint64_t value) {
    (void)feagi_write_change(r, FEAGI_HASHES_AT + 8 * index, 8, FEAGI_WRITE_SET, value);
}

_Static_assert(offsetof(feagi_hashes_t, agent_data) == 8 * FEAGI_HASHES_AGENT_DATA, "the enum has the struct's order");

#endif
