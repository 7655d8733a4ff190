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

// A change of a group.
static void put_change(feagi_region_t *r, uint32_t at, const feagi_stats_change_t *c) {
#if FEAGI_PORT_SHARED
    if (r->share) {
        // A sum is made from what is there when it is made: a writer that had passed the gate may still count.
        static const uint8_t kinds[] = {FEAGI_SHARED_STORE, FEAGI_SHARED_STORE, FEAGI_SHARED_ADD, FEAGI_SHARED_SUBTRACT};
        feagi_shared_put(r, kinds[c->kind], at, sizeof c->value, c->value, 0);
        return;
    }
#endif
    (void)feagi_write_change(r, at, sizeof c->value, c->kind - FEAGI_STATS_SET + FEAGI_WRITE_SET, c->value);
}
_Static_assert(FEAGI_STATS_ADD - FEAGI_STATS_SET == FEAGI_WRITE_ADD - FEAGI_WRITE_SET &&
                   FEAGI_STATS_SUBTRACT - FEAGI_STATS_SET == FEAGI_WRITE_SUBTRACT - FEAGI_WRITE_SET,
               "kinds come in the order of the writes");

int feagi_stats_update(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes,
                       const feagi_stats_change_t changes[FEAGI_STATS_COUNTS]) {
    const int status = feagi_write_open(r);
    if (status) {
        return status;
    }
    const int slot = feagi_stats_find(r, id, id_len_bytes); // within the group: a restore gives slots to other areas
    if (slot < 0) {
        return feagi_write_refuse(r, slot);
    }
    feagi_write_keep_out(r);
    feagi_port_key_t key = feagi_port_lock();
    for (unsigned count = 0; count < FEAGI_STATS_COUNTS; count++) {
        if (changes[count].kind != FEAGI_STATS_KEEP) {
            put_change(r, feagi_stats_count_at(r, (uint32_t)slot, count), &changes[count]);
        }
    }
    feagi_port_unlock(key);
    feagi_write_close(r);
    return 0;
}
