#include "feagi_areas.h"

#include "feagi_write.h"

// area and used as one word.
static uint64_t key_of(uint32_t area) {
    return 1ull << 32 | area;
}

// Goes from the area's place until its slot or a free one. Returns the entry, whose key is *key (0: free), or NULL behind all.
static void *search(const feagi_region_t *r, const feagi_place_t *table, uint32_t area, uint64_t *key) {
    // Fibonacci hashing: neighbouring areas are spread.
    uint32_t slot = (area * 0x9e3779b9u) & (table->capacity - 1u);
    for (uint32_t tries = table->capacity; tries; tries--) {
        uint64_t *entry = feagi_region_u64(r, table->at + slot * table->entry_len);
        *key = feagi_port_load_u64(entry);
        if (*key == key_of(area) || *key == 0) {
            return entry;
        }
        slot = (slot + 1) & (table->capacity - 1u);
    }
    return NULL;
}

void *feagi_areas_find(const feagi_region_t *r, const feagi_place_t *table, uint32_t area) {
    uint64_t key;
    void *entry = search(r, table, area, &key);
    return entry && key ? entry : NULL;
}

bool feagi_areas_is(const void *entry, uint32_t area) {
    return feagi_port_load_u64(entry) == key_of(area);
}

// Whether a large table has as many areas as it takes. Two that claim at once may both find room for the last one: there is,
// since half of the slots stay free.
static bool is_full(const feagi_region_t *r, const feagi_place_t *table) {
    uint32_t used = 0;
    if (feagi_region_limit(table->capacity) == table->capacity) {
        return false; // the search itself finds out
    }
    for (uint32_t slot = 0; slot < table->capacity; slot++) {
        used += feagi_port_load_u64(feagi_region_u64(r, table->at + slot * table->entry_len)) != 0;
    }
    return used >= feagi_region_limit(table->capacity);
}

void *feagi_areas_claim(feagi_region_t *r, const feagi_place_t *table, uint32_t area) {
    for (;;) {
        uint64_t key;
        uint64_t *entry = search(r, table, area, &key);
        if (!entry || key) {
            return entry;
        }
        if (is_full(r, table)) {
            return NULL;
        }
        // Somebody else may have taken the slot since, perhaps for the same area: then search again.
        feagi_port_key_t section = feagi_write_begin(r);
        // A restore that this one waited for may have given the area another slot.
        bool taken =
            (!feagi_write_is_shared(r) || search(r, table, area, &key) == entry) && feagi_port_cas_u64(entry, 0, key_of(area));
        if (taken) {
            feagi_write_mark(r, (uint32_t)((uint8_t *)entry - r->base), sizeof *entry);
            feagi_write_count(r);
        }
        feagi_write_end(r, section);
        if (taken) {
            return entry;
        }
    }
}
