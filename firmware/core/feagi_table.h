// Tables of the region: slots that belong to keys, by open addressing from the key's hash. What agents, area statistics, cortical
// locks and FCL windows have in common.
//
// A slot has a state, which is stored last: whoever finds it used finds a whole key.
#ifndef FEAGI_TABLE_H
#define FEAGI_TABLE_H

#include "feagi_region.h"
#include "feagi_text.h"

// Hosts have a code of its own for each table and call; elsewhere there is one for all.
#if FEAGI_PORT_FAST
#define FEAGI_TABLE_INLINE inline __attribute__((always_inline))
#else
#define FEAGI_TABLE_INLINE inline
#endif

// Where the slots of a table have their keys: offsets in a slot.
typedef struct {
    uint8_t state_at;   // FEAGI_TABLE_UNUSED, _USED or _LEFT
    uint8_t key_len_at; // length of a text; elsewhere as state_at
    uint8_t key_at;     // the key
    uint8_t key_bytes;  // room for it: 4 or a multiple of 8
    bool leaves;        // keys may leave, and their slots get other ones; then the first word of a slot changes
} feagi_table_t;

enum {
    FEAGI_TABLE_UNUSED, // the slot was never used: behind it no key can be that is looked for
    FEAGI_TABLE_USED,
    FEAGI_TABLE_LEFT, // its key has left: a search goes on behind it
};

typedef struct {
    uint64_t words[4]; // as it lies in a slot, zero-filled
    uint32_t hash;     // where its search begins
    uint8_t len;       // what lies at key_len_at
    bool is_ascii;     // of a text, as far as was looked: hosts see it as they go
#if FEAGI_PORT_SHARED
    uint64_t first; // of a key that was found: the first word of its slot, as it was then
#endif
} feagi_key_t;

#define FEAGI_TABLE_NONE UINT32_MAX

// Offset in the region of slot `slot`.
static inline uint32_t feagi_table_at(const feagi_place_t *place, uint32_t slot) {
    return place->at + slot * place->entry_len;
}

// Whether a large table has as many entries as it takes; a small one's search finds out itself. Two that take a slot at once may
// both find room for the last one: there is, since half of the slots stay free. Any context.
bool feagi_table_is_full(const feagi_region_t *r, const feagi_place_t *place, const feagi_table_t *table);

#if FEAGI_PORT_FAST
static inline bool feagi_table_key(feagi_key_t *key, const uint8_t *text, size_t len_bytes, size_t room_bytes) {
    if (len_bytes - 1 >= room_bytes) {
        return false;
    }
    feagi_port_clear(key->words, sizeof key->words);
    key->len = (uint8_t)len_bytes;
    uint32_t bits = 0, hash = FEAGI_TEXT_HASH;
    for (uint64_t *to = key->words; len_bytes; to++) {
        const size_t part = len_bytes < 8 ? len_bytes : 8;
        const uint64_t word = feagi_text_word(text, part);
        hash = feagi_text_hash_word(hash, (uint32_t)word);
        hash = part > 4 ? feagi_text_hash_word(hash, (uint32_t)(word >> 32)) : hash;
        bits |= (uint32_t)(word | word >> 32);
        *to = word;
        text += part;
        len_bytes -= part;
    }
    key->hash = hash;
    key->is_ascii = !(bits & FEAGI_TEXT_NOT_ASCII);
    return true;
}
#else
// The key of a text; false if it has not 1 to `room_bytes` bytes (which are at most those of key->words). Any context.
bool feagi_table_key(feagi_key_t *key, const uint8_t *text, size_t len_bytes, size_t room_bytes);
#endif

// The state of a slot. What others can write into a shared region is no reason to look for ever: where keys do not leave, a slot
// is unused or used.
static FEAGI_TABLE_INLINE uint8_t feagi_table_state(const uint8_t *slot, const feagi_table_t *table, feagi_key_t *key) {
#if FEAGI_PORT_SHARED
    key->first = feagi_port_load_u64((const uint64_t *)(const void *)slot);
    if (table->key_bytes == 4) {
        return key->first ? FEAGI_TABLE_USED : FEAGI_TABLE_UNUSED;
    }
    const uint8_t state = (uint8_t)(key->first >> 8 * table->state_at);
    return state && !table->leaves ? FEAGI_TABLE_USED : state;
#else
    (void)key;
    return feagi_port_load_u8(slot + table->state_at);
#endif
}

static FEAGI_TABLE_INLINE bool feagi_table_is_key(const uint8_t *slot, const feagi_table_t *table, const feagi_key_t *key) {
#if FEAGI_PORT_SHARED
    if (table->key_bytes == 4) {
        return key->first == ((uint64_t)FEAGI_TABLE_USED << 32 | key->words[0]);
    }
    if ((uint8_t)(key->first >> 8 * table->key_len_at) != key->len) {
        return false;
    }
    for (uint32_t i = 0; i < table->key_bytes; i += 8) {
        if (feagi_port_load_u64((const uint64_t *)(const void *)(slot + table->key_at + i)) != key->words[i / 8]) {
            return false;
        }
    }
    return !table->leaves || feagi_port_load_u64((const uint64_t *)(const void *)slot) == key->first;
#else
    return slot[table->key_len_at] == key->len && feagi_port_equal(slot + table->key_at, key->words, table->key_bytes);
#endif
}

static FEAGI_TABLE_INLINE uint32_t feagi_table_walk(const feagi_region_t *r, const feagi_place_t *place,
                                                    const feagi_table_t *table, feagi_key_t *key, uint32_t *free_slot) {
    const uint32_t last = place->capacity - 1u;
    *free_slot = FEAGI_TABLE_NONE;
    for (uint32_t slot = key->hash, tries = last + 1; tries; slot++, tries--) {
        slot &= last;
        const uint8_t *at = r->base + feagi_table_at(place, slot);
        const uint8_t state = feagi_table_state(at, table, key);
        if (state == FEAGI_TABLE_USED) {
            if (feagi_table_is_key(at, table, key)) {
                return slot;
            }
            continue;
        }
        if (*free_slot == FEAGI_TABLE_NONE) {
            *free_slot = slot;
        }
        if (state == FEAGI_TABLE_UNUSED) {
            break;
        }
    }
    return FEAGI_TABLE_NONE;
}

#if FEAGI_PORT_FAST
#define feagi_table_search feagi_table_walk
#else
// Looks for a key. Returns its slot, or FEAGI_TABLE_NONE; *free_slot: the first one on the way that a new key may take, or
// FEAGI_TABLE_NONE. Any context.
uint32_t feagi_table_search(const feagi_region_t *r, const feagi_place_t *place, const feagi_table_t *table, feagi_key_t *key,
                            uint32_t *free_slot);
#endif

#endif
