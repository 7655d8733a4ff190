#include "feagi_windows.h"

#define PRESENT (1ull << 32) // of window and present as one word
_Static_assert(offsetof(feagi_window_t, present) == offsetof(feagi_window_t, window) + 4, "window and present are one word");

// Changes an area's value from `old`. Not done if it has changed since, or if the slot is not the area's: a restore of a shared
// region that was on its way when the slot was claimed may have taken it.
static bool exchange_window(feagi_region_t *r, uint32_t at, uint32_t area, uint64_t old, uint64_t value) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        const feagi_port_key_t key = feagi_write_begin(r);
        const bool done =
            feagi_areas_is(r, at, area) && feagi_port_cas_u64(feagi_region_u64(r, at + FEAGI_AREAS_VALUE), old, value);
        if (done) {
            feagi_write_count(r, at);
        }
        feagi_write_end(r, key);
        return done;
    }
#endif
    (void)area;
    return feagi_write_exchange(r, at + FEAGI_AREAS_VALUE, old, value);
}

uint32_t feagi_windows_get(const feagi_region_t *r, uint32_t area) {
    const uint64_t value = feagi_areas_get(r, &r->windows, area);
    return value & PRESENT ? (uint32_t)value : feagi_windows_default(r);
}

int feagi_windows_set(feagi_region_t *r, uint32_t area, uint32_t window) {
    uint32_t at;
    do {
        at = feagi_areas_claim(r, &r->windows, area);
        if (!at) {
            return FEAGI_ERR_FULL;
        }
    } while (!exchange_window(r, at, area, feagi_write_load(r, at + FEAGI_AREAS_VALUE, 8), PRESENT | window));
    return 0;
}

int feagi_windows_remove(feagi_region_t *r, uint32_t area) {
    for (;;) {
        const uint32_t at = feagi_areas_find(r, &r->windows, area);
        const uint64_t old = at ? feagi_write_load(r, at + FEAGI_AREAS_VALUE, 8) : 0;
        if (!(old & PRESENT)) {
            return 0;
        }
        if (exchange_window(r, at, area, old, 0)) {
            return 1;
        }
    }
}
