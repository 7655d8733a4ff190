#include "feagi_table.h"

#include "feagi_text.h"

bool feagi_table_key(feagi_key_t *key, const uint8_t *text, size_t len_bytes, size_t room_bytes) {
    if (len_bytes - 1 >= room_bytes) {
        return false;
    }
    uint32_t bits = 0, hash = FEAGI_TEXT_HASH;
    for (size_t i = 0; i < room_bytes; i += 8) {
        uint64_t word = 0;
        if (i < len_bytes) {
            word = feagi_text_word(text + i, len_bytes - i);
            hash = feagi_text_hash_word(hash, (uint32_t)word);
        }
        if (i + 4 < len_bytes) {
            hash = feagi_text_hash_word(hash, (uint32_t)(word >> 32));
        }
        bits |= (uint32_t)(word | word >> 32);
        key->words[i / 8] = word;
    }
    key->hash = hash;
    key->len = (uint8_t)len_bytes;
    key->is_ascii = !(bits & FEAGI_TEXT_NOT_ASCII);
    return true;
}

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

#if !FEAGI_PORT_SHARED
uint32_t feagi_table_search(const feagi_region_t *r, const feagi_place_t *place, const feagi_table_t *table, feagi_key_t *key,
                            uint32_t *free_slot) {
    return feagi_table_walk(r, place, table, key, free_slot);
}
#endif
