#include "feagi_table.h"

bool feagi_table_is_full(const feagi_region_t *r, const feagi_place_t *place, const feagi_table_t *table) {
    uint32_t room = feagi_region_limit(place->capacity);
    if (room == place->capacity) {
        return false;
    }
    for (uint32_t slot = 0; room && slot < place->capacity; slot++) {
        room -= feagi_port_load_u8(r->base + feagi_table_at(place, slot) + table->state_at) == FEAGI_TABLE_USED;
    }
    return !room;
}

#if !FEAGI_PORT_FAST
bool feagi_table_key(feagi_key_t *key, const uint8_t *text, size_t len_bytes, size_t room_bytes) {
    if (len_bytes - 1 >= room_bytes) {
        return false;
    }
    feagi_port_clear(key->words, sizeof key->words);
    feagi_port_copy(key->words, text, len_bytes);
    key->hash = feagi_text_hash(text, len_bytes);
    key->len = (uint8_t)len_bytes;
    key->is_ascii = false;
    return true;
}

uint32_t feagi_table_search(const feagi_region_t *r, const feagi_place_t *place, const feagi_table_t *table, feagi_key_t *key,
                            uint32_t *free_slot) {
    return feagi_table_walk(r, place, table, key, free_slot);
}
#endif
