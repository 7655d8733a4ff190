// Statistics of cortical areas by text id: neurons, and synapses that come in and go out.
//
// One context adds areas: set-up, or the event ring's producer; in a shared region any. Any context may count, any may read.
#ifndef FEAGI_STATS_H
#define FEAGI_STATS_H

#include "feagi_table.h"
#include "feagi_write.h"

// Index of a count.
enum { FEAGI_STATS_NEURONS, FEAGI_STATS_INCOMING, FEAGI_STATS_OUTGOING, FEAGI_STATS_COUNTS };

// Adds an area with all counts 0, or sets the counts of one that is there to 0. The id has 1..16 bytes of UTF-8.
// Returns its slot, FEAGI_ERR_FULL, FEAGI_ERR_LENGTH, FEAGI_ERR_ENCODING, or in a shared region FEAGI_ERR_BUSY. One writer; in a
// shared region any thread.
int feagi_stats_init(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes);

// The area's slot, or FEAGI_ERR_NOT_FOUND. Any context.
int feagi_stats_find(const feagi_region_t *r, const uint8_t *id, size_t id_len_bytes);

// Offset in the region of a count (FEAGI_STATS_*) of a slot. Counts lie behind each other, from neuron_count on.
static inline uint32_t feagi_stats_count_at(const feagi_region_t *r, uint32_t slot, unsigned count) {
    return feagi_table_at(&r->stats, slot) + (uint32_t)offsetof(feagi_stat_t, neuron_count) + 4 * count;
}
_Static_assert(offsetof(feagi_stat_t, outgoing_synapse_count) == offsetof(feagi_stat_t, neuron_count) + 4 * FEAGI_STATS_OUTGOING,
               "the counts have the enum's order");

// One count of a slot. Any context, ISR-safe.
static inline uint32_t feagi_stats_get(const feagi_region_t *r, uint32_t slot, unsigned count) {
    return (uint32_t)feagi_write_load(r, feagi_stats_count_at(r, slot, count), 4);
}

// Stores a count. Any context, ISR-safe.
static inline void feagi_stats_set(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t value) {
    (void)feagi_write_change(r, feagi_stats_count_at(r, slot, count), 4, FEAGI_WRITE_SET, value);
}

// Adds to a count, which stays at 4294967295, or subtracts, which stays at 0. Returns the value after it. Any context, ISR-safe.
static inline uint32_t feagi_stats_add(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t amount) {
    return (uint32_t)feagi_write_change(r, feagi_stats_count_at(r, slot, count), 4, FEAGI_WRITE_ADD, amount);
}
static inline uint32_t feagi_stats_subtract(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t amount) {
    return (uint32_t)feagi_write_change(r, feagi_stats_count_at(r, slot, count), 4, FEAGI_WRITE_SUBTRACT, amount);
}

// How feagi_stats_update changes a count.
enum { FEAGI_STATS_KEEP = 0, FEAGI_STATS_SET, FEAGI_STATS_ADD, FEAGI_STATS_SUBTRACT, FEAGI_STATS_KINDS };
typedef struct {
    uint8_t kind; // FEAGI_STATS_KEEP to _SUBTRACT
    uint32_t value;
} feagi_stats_change_t;

// Changes an area's counts together: no snapshot, link or interrupt finds some changed and others not. They stay within 0 and
// 4294967295. Any context, ISR-safe; in a shared region any thread.
// Returns 0, FEAGI_ERR_NOT_FOUND, or in a shared region FEAGI_ERR_BUSY; errors change nothing.
int feagi_stats_update(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes,
                       const feagi_stats_change_t changes[FEAGI_STATS_COUNTS]);

// Slot `slot` (< r->stats.capacity), used if its state is 1. Any context.
static inline const feagi_stat_t *feagi_stats_at(const feagi_region_t *r, uint32_t slot) {
    return (const feagi_stat_t *)(const void *)(r->base + feagi_table_at(&r->stats, slot));
}

#endif
