#include "feagi_hashes.h"

#include "feagi_write.h"

static uint32_t place_of(unsigned index) {
    return FEAGI_HASHES_AT + index * (uint32_t)sizeof(uint64_t);
}
_Static_assert(offsetof(feagi_hashes_t, agent_data) == FEAGI_HASHES_AGENT_DATA * sizeof(uint64_t),
               "the enum has the struct's order");

uint64_t feagi_hashes_get(const feagi_region_t *r, unsigned index) {
    return feagi_port_load_u64(feagi_region_u64(r, place_of(index)));
}

void feagi_hashes_set(feagi_region_t *r, unsigned index, uint64_t value) {
    feagi_port_key_t key = feagi_write_begin(r); // value and mark are one to the link
    feagi_write_store(r, place_of(index), sizeof value, value);
    feagi_write_count(r);
    feagi_write_end(r, key);
}
