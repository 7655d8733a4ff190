#include "feagi_windows.h"

#include "feagi_areas.h"
#include "feagi_write.h"

// window and present as one word.
static uint64_t *value_of(feagi_window_t *entry) {
    return (uint64_t *)(void *)&entry->window;
}
_Static_assert(offsetof(feagi_window_t, window) % 8 == 0 &&
                   offsetof(feagi_window_t, present) == offsetof(feagi_window_t, window) + 4,
               "window and present are one aligned word");

#define PRESENT (1ull << 32)

static uint32_t *default_of(const feagi_region_t *r) {
    return &((feagi_windows_t *)(void *)(r->base + r->windows.at) - 1)->default_window;
}

// Changes an area's value from `old`. Not done if it has changed since, or if the slot is not the area's: a restore of a shared
// region that was on its way when the slot was claimed may have taken it.
static bool exchange(feagi_region_t *r, feagi_window_t *entry, uint32_t area, uint64_t old, uint64_t value) {
    feagi_port_key_t key = feagi_write_begin(r); // value and mark are one to the link
    const bool done = feagi_areas_is(entry, area) && feagi_port_cas_u64(value_of(entry), old, value);
    if (done) {
        feagi_write_mark(r, (uint32_t)((uint8_t *)&entry->window - r->base), sizeof value);
        feagi_write_count(r);
    }
    feagi_write_end(r, key);
    return done;
}

uint32_t feagi_windows_get(const feagi_region_t *r, uint32_t area) {
    feagi_window_t *entry = feagi_areas_find(r, &r->windows, area);
    uint64_t value = entry ? feagi_port_load_u64(value_of(entry)) : 0;
    return value & PRESENT ? (uint32_t)value : feagi_windows_default(r);
}

int feagi_windows_set(feagi_region_t *r, uint32_t area, uint32_t window) {
    for (;;) {
        feagi_window_t *entry = feagi_areas_claim(r, &r->windows, area);
        if (!entry) {
            return FEAGI_ERR_FULL;
        }
        if (exchange(r, entry, area, feagi_port_load_u64(value_of(entry)), PRESENT | window)) {
            return 0;
        }
    }
}

int feagi_windows_remove(feagi_region_t *r, uint32_t area) {
    for (;;) {
        feagi_window_t *entry = feagi_areas_find(r, &r->windows, area);
        const uint64_t old = entry ? feagi_port_load_u64(value_of(entry)) : 0;
        if (!(old & PRESENT)) {
            return 0;
        }
        if (exchange(r, entry, area, old, 0)) {
            return 1;
        }
    }
}

uint32_t feagi_windows_default(const feagi_region_t *r) {
    return feagi_port_load_u32(default_of(r));
}

void feagi_windows_set_default(feagi_region_t *r, uint32_t window) {
    feagi_port_key_t key = feagi_write_begin(r); // value and mark are one to the link
    feagi_write_store(r, (uint32_t)((uint8_t *)default_of(r) - r->base), sizeof window, window);
    feagi_write_count(r);
    feagi_write_end(r, key);
}

int feagi_windows_at(const feagi_region_t *r, uint32_t index, uint32_t *area, uint32_t *window) {
    feagi_window_t *entry = (feagi_window_t *)(void *)(r->base + r->windows.at) + index;
    uint64_t value = feagi_port_load_u64(value_of(entry));
    *area = feagi_port_load_u32(&entry->area); // never changes once the slot is used
    *window = (uint32_t)value;
    return value & PRESENT ? 1 : 0;
}
