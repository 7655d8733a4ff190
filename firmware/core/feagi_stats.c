#include "feagi_stats.h"

#include "feagi_text.h"

static feagi_stat_t *slot_of(const feagi_region_t *r, uint32_t slot) {
    return (feagi_stat_t *)(void *)(r->base + r->stats.at) + slot;
}

// Counts lie behind each other, from neuron_count on.
static uint32_t place_of(const feagi_region_t *r, uint32_t slot, unsigned count) {
    return r->stats.at + slot * (uint32_t)sizeof(feagi_stat_t) + (uint32_t)offsetof(feagi_stat_t, neuron_count) + count * 4;
}
_Static_assert(offsetof(feagi_stat_t, outgoing_synapse_count) ==
                   offsetof(feagi_stat_t, neuron_count) + FEAGI_STATS_OUTGOING * sizeof(uint32_t),
               "the counts have the enum's order");

// The id's slot, or the free one where its search ends, or NULL behind all. Slots are never given back, so a free one ends it.
static feagi_stat_t *search(const feagi_region_t *r, const uint8_t *id, size_t len_bytes, uint32_t *slot) {
    uint32_t at = feagi_text_hash(id, len_bytes) % r->stats.capacity;
    for (uint32_t tries = r->stats.capacity; tries; tries--) {
        feagi_stat_t *s = slot_of(r, at);
        if (!s->state || (s->id_len == len_bytes && feagi_port_equal(s->id, id, len_bytes))) {
            *slot = at;
            return s;
        }
        at = at + 1 == r->stats.capacity ? 0 : at + 1;
    }
    return NULL;
}

int feagi_stats_init(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    if (!id_len_bytes || id_len_bytes > FEAGI_AREA_ID_LEN_BYTES) {
        return FEAGI_ERR_LENGTH;
    }
    if (!feagi_text_valid(id, id_len_bytes)) {
        return FEAGI_ERR_ENCODING;
    }
    uint32_t slot;
    feagi_stat_t *s = search(r, id, id_len_bytes, &slot);
    if (!s) {
        return FEAGI_ERR_FULL;
    }
    feagi_port_key_t key = feagi_port_lock(); // nobody sees half an area
    feagi_port_clear(s, sizeof *s);
    feagi_port_copy(s->id, id, id_len_bytes);
    s->id_len = (uint8_t)id_len_bytes;
    s->state = 1;
    feagi_region_mark_bytes(r, (uint32_t)((uint8_t *)s - r->base), sizeof *s);
    feagi_port_unlock(key);
    return (int)slot;
}

int feagi_stats_find(const feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    uint32_t slot;
    const feagi_stat_t *s = search(r, id, id_len_bytes, &slot);
    return s && s->state ? (int)slot : FEAGI_ERR_NOT_FOUND;
}

uint32_t feagi_stats_get(const feagi_region_t *r, uint32_t slot, unsigned count) {
    return feagi_port_load_u32(feagi_region_u32(r, place_of(r, slot, count)));
}

void feagi_stats_set(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t value) {
    feagi_port_key_t key = feagi_port_lock(); // value and mark are one to the link
    feagi_port_store_u32(feagi_region_u32(r, place_of(r, slot, count)), value);
    feagi_region_mark_bytes(r, place_of(r, slot, count), sizeof value);
    feagi_port_unlock(key);
}

uint32_t feagi_stats_add(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t amount) {
    feagi_port_key_t key = feagi_port_lock(); // read and write are one step
    uint32_t value = feagi_stats_get(r, slot, count);
    value = amount < UINT32_MAX - value ? value + amount : UINT32_MAX;
    feagi_stats_set(r, slot, count, value);
    feagi_port_unlock(key);
    return value;
}

uint32_t feagi_stats_subtract(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t amount) {
    feagi_port_key_t key = feagi_port_lock(); // read and write are one step
    uint32_t value = feagi_stats_get(r, slot, count);
    value = amount < value ? value - amount : 0;
    feagi_stats_set(r, slot, count, value);
    feagi_port_unlock(key);
    return value;
}

const feagi_stat_t *feagi_stats_at(const feagi_region_t *r, uint32_t slot) {
    return slot_of(r, slot);
}
