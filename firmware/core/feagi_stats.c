#include "feagi_stats.h"

#include "feagi_table.h"
#include "feagi_text.h"

static const feagi_table_t by_name = {
    .state_at = offsetof(feagi_stat_t, state),
    .key_len_at = offsetof(feagi_stat_t, id_len),
    .key_at = offsetof(feagi_stat_t, id),
    .key_bytes = sizeof(((feagi_stat_t *)0)->id),
};

int feagi_stats_init(feagi_region_t *r, const uint8_t *id_text, size_t id_len_bytes) {
    feagi_key_t id;
    if (!feagi_table_key(&id, id_text, id_len_bytes, FEAGI_AREA_ID_LEN_BYTES)) {
        return FEAGI_ERR_LENGTH;
    }
    if (!feagi_text_valid(id_text, id_len_bytes)) {
        return FEAGI_ERR_ENCODING;
    }
    const int status = feagi_write_open(r);
    if (status) {
        return status;
    }
    uint32_t free_slot, slot = feagi_table_search(r, &r->stats, &by_name, &id, &free_slot);
    const bool known = slot != FEAGI_TABLE_NONE;
    if (!known) {
        slot = free_slot;
        if (slot == FEAGI_TABLE_NONE || feagi_table_is_full(r, &r->stats, &by_name)) {
            return feagi_write_refuse(r, FEAGI_ERR_FULL);
        }
    }
    const uint32_t at = feagi_table_at(&r->stats, slot);
    feagi_write_keep_out(r);                  // what is counted from here on is not lost, whoever makes the group
    feagi_port_key_t key = feagi_port_lock(); // nobody sees half an area
    for (uint32_t i = 0; !known && i < FEAGI_AREA_ID_LEN_BYTES / 8; i++) {
        // Nobody looks at the id until the slot is used.
        feagi_write_store(r, at + (uint32_t)offsetof(feagi_stat_t, id) + 8 * i, 8, id.words[i]);
    }
    feagi_write_put(r, at, 8, FEAGI_TABLE_USED | (uint32_t)id.len << 8); // state, id_len, and neuron_count 0
    feagi_write_put(r, at + 8, 8, 0);                                    // the other two counts
    feagi_port_unlock(key);
    feagi_write_close(r);
    return (int)slot;
}
_Static_assert(offsetof(feagi_stat_t, state) == 0 && offsetof(feagi_stat_t, id_len) == 1 &&
                   offsetof(feagi_stat_t, neuron_count) == 4 && offsetof(feagi_stat_t, incoming_synapse_count) == 8 &&
                   offsetof(feagi_stat_t, id) % 8 == 0 && FEAGI_AREA_ID_LEN_BYTES % 8 == 0,
               "a slot is made of these words");

int feagi_stats_find(const feagi_region_t *r, const uint8_t *id_text, size_t id_len_bytes) {
    feagi_key_t id;
    uint32_t free_slot, slot = FEAGI_TABLE_NONE;
    if (feagi_table_key(&id, id_text, id_len_bytes, FEAGI_AREA_ID_LEN_BYTES)) {
        slot = feagi_table_search(r, &r->stats, &by_name, &id, &free_slot);
    }
    return slot == FEAGI_TABLE_NONE ? FEAGI_ERR_NOT_FOUND : (int)slot;
}
