// FCL windows: a number for every cortical area, a default for those that have none of their own.
#ifndef FEAGI_WINDOWS_H
#define FEAGI_WINDOWS_H

#include "feagi_areas.h"

// The area's window, or the default. Wait-free. Any context, ISR-safe.
uint32_t feagi_windows_get(const feagi_region_t *r, uint32_t area);

// Gives an area a window of its own. Any context, ISR-safe. Returns 0 or FEAGI_ERR_FULL.
int feagi_windows_set(feagi_region_t *r, uint32_t area, uint32_t window);

// Lets the area have the default again. Any context, ISR-safe. Returns 1 if it had one of its own, else 0.
int feagi_windows_remove(feagi_region_t *r, uint32_t area);

// Where the default lies. Any context.
static inline uint32_t feagi_windows_default_at(const feagi_region_t *r) {
    return r->windows.at - (uint32_t)(sizeof(feagi_windows_t) - offsetof(feagi_windows_t, default_window));
}

// The default, 20 unless set. Any context.
static inline uint32_t feagi_windows_default(const feagi_region_t *r) {
    return (uint32_t)feagi_write_load(r, feagi_windows_default_at(r), 4);
}

// Sets the default. Any context, ISR-safe.
static inline void feagi_windows_set_default(feagi_region_t *r, uint32_t window) {
    (void)feagi_write_change(r, feagi_windows_default_at(r), 4, FEAGI_WRITE_SET, window);
}

// Area and window of slot `index` (< r->windows.capacity). Returns 1 if it has a window of its own, else 0. Any context.
static inline int feagi_windows_at(const feagi_region_t *r, uint32_t index, uint32_t *area, uint32_t *window) {
    const uint64_t value = feagi_areas_at(r, &r->windows, index, area);
    *window = (uint32_t)value;
    return value >> 32 != 0;
}

#endif
