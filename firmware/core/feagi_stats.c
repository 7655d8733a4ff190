#include "feagi_stats.h"

#include "feagi_text.h"
#include "feagi_write.h"

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

// A slot's first word: state, id_len, and neuron_count.
static uint64_t first_of(const feagi_region_t *r, uint32_t slot) {
    return feagi_port_load_u64((const uint64_t *)(const void *)slot_of(r, slot));
}
static bool is_used(uint64_t first) {
    return (uint8_t)first != 0;
}
static uint8_t id_len_of(uint64_t first) {
    return (uint8_t)(first >> 8);
}

// An id as it lies in a slot.
#define ID_WORDS (FEAGI_AREA_ID_LEN_BYTES / 8)
typedef struct {
    uint64_t words[ID_WORDS];
    uint32_t hash;
    uint8_t len_bytes;
} area_id_t;

// No area has an id of another length.
static bool take_id(area_id_t *id, const uint8_t *text, size_t len_bytes) {
    if (!len_bytes || len_bytes > FEAGI_AREA_ID_LEN_BYTES) {
        return false;
    }
    feagi_port_clear(id->words, sizeof id->words);
    feagi_port_copy(id->words, text, len_bytes);
    id->hash = feagi_text_hash(text, len_bytes);
    id->len_bytes = (uint8_t)len_bytes;
    return true;
}

static uint64_t *id_word(const feagi_region_t *r, uint32_t slot, uint32_t word) {
    return (uint64_t *)(void *)slot_of(r, slot)->id + word;
}

static bool has_id(const feagi_region_t *r, uint32_t slot, const area_id_t *id) {
    for (uint32_t i = 0; i < ID_WORDS; i++) {
        if (feagi_port_load_u64(id_word(r, slot, i)) != id->words[i]) {
            return false;
        }
    }
    return true;
}

// The id's slot, or the free one where its search ends, which *used tells; r->stats.capacity behind all. Slots are never given
// back, so a free one ends it.
static uint32_t search(const feagi_region_t *r, const area_id_t *id, bool *used) {
    uint32_t slot = id->hash & (r->stats.capacity - 1u);
    for (uint32_t tries = r->stats.capacity; tries; tries--) {
        // The id was stored before the word that says that there is one.
        const uint64_t first = first_of(r, slot);
        *used = is_used(first);
        if (!*used || (id_len_of(first) == id->len_bytes && has_id(r, slot, id))) {
            return slot;
        }
        slot = (slot + 1) & (r->stats.capacity - 1u);
    }
    *used = false;
    return r->stats.capacity;
}

// Whether a large table has as many areas as it takes.
static bool is_full(const feagi_region_t *r) {
    uint32_t used = 0;
    if (feagi_region_limit(r->stats.capacity) == r->stats.capacity) {
        return false; // the search itself finds out
    }
    for (uint32_t slot = 0; slot < r->stats.capacity; slot++) {
        used += is_used(first_of(r, slot));
    }
    return used >= feagi_region_limit(r->stats.capacity);
}

int feagi_stats_init(feagi_region_t *r, const uint8_t *id_text, size_t id_len_bytes) {
    area_id_t id;
    if (!take_id(&id, id_text, id_len_bytes)) {
        return FEAGI_ERR_LENGTH;
    }
    if (!feagi_text_valid(id_text, id_len_bytes)) {
        return FEAGI_ERR_ENCODING;
    }
    const int status = feagi_write_open(r);
    if (status) {
        return status;
    }
    bool known;
    const uint32_t slot = search(r, &id, &known);
    if (slot == r->stats.capacity || (!known && is_full(r))) {
        return feagi_write_refuse(r, FEAGI_ERR_FULL);
    }
    const uint32_t at = r->stats.at + slot * (uint32_t)sizeof(feagi_stat_t);
    feagi_write_keep_out(r);                  // what is counted from here on is not lost, whoever makes the group
    feagi_port_key_t key = feagi_port_lock(); // nobody sees half an area
    for (uint32_t i = 0; !known && i < ID_WORDS; i++) {
        // Nobody looks at the id until the slot is used.
        feagi_write_store(r, at + (uint32_t)offsetof(feagi_stat_t, id) + 8 * i, 8, id.words[i]);
    }
    feagi_write_put(r, at, 8, 1 | (uint64_t)id_len_bytes << 8); // state, id_len, and neuron_count 0
    feagi_write_put(r, at + 8, 8, 0);                           // the other two counts
    feagi_port_unlock(key);
    feagi_write_close(r);
    return (int)slot;
}
_Static_assert(offsetof(feagi_stat_t, state) == 0 && offsetof(feagi_stat_t, id_len) == 1 &&
                   offsetof(feagi_stat_t, neuron_count) == 4 && offsetof(feagi_stat_t, incoming_synapse_count) == 8 &&
                   offsetof(feagi_stat_t, id) % 8 == 0 && FEAGI_AREA_ID_LEN_BYTES % 8 == 0,
               "a slot is made of these words");

int feagi_stats_find(const feagi_region_t *r, const uint8_t *id_text, size_t id_len_bytes) {
    area_id_t id;
    if (!take_id(&id, id_text, id_len_bytes)) {
        return FEAGI_ERR_NOT_FOUND;
    }
    bool used;
    const uint32_t slot = search(r, &id, &used);
    return used ? (int)slot : FEAGI_ERR_NOT_FOUND;
}

uint32_t feagi_stats_get(const feagi_region_t *r, uint32_t slot, unsigned count) {
    return feagi_port_load_u32(feagi_region_u32(r, place_of(r, slot, count)));
}

void feagi_stats_set(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t value) {
    feagi_port_key_t key = feagi_write_begin(r); // value and mark are one to the link
    feagi_write_store(r, place_of(r, slot, count), sizeof value, value);
    feagi_write_count(r);
    feagi_write_end(r, key);
}

static uint32_t sum(uint32_t old, uint32_t amount, bool down) {
    return down ? (amount < old ? old - amount : 0) : amount < UINT32_MAX - old ? old + amount : UINT32_MAX;
}

static uint32_t change(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t amount, bool down) {
    const uint32_t at = place_of(r, slot, count);
    for (;;) {
        const uint32_t old = feagi_stats_get(r, slot, count);
        const uint32_t value = sum(old, amount, down);
        feagi_port_key_t key = feagi_write_begin(r);
        const bool done = feagi_port_cas_u32(feagi_region_u32(r, at), old, value);
        if (done) {
            feagi_write_mark(r, at, sizeof value);
            feagi_write_count(r);
        }
        feagi_write_end(r, key);
        if (done) {
            return value;
        }
    }
}

uint32_t feagi_stats_add(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t amount) {
    return change(r, slot, count, amount, false);
}

uint32_t feagi_stats_subtract(feagi_region_t *r, uint32_t slot, unsigned count, uint32_t amount) {
    return change(r, slot, count, amount, true);
}

// A change of a group.
static void put_change(feagi_region_t *r, uint32_t at, const feagi_stats_change_t *c) {
    const bool down = c->kind == FEAGI_STATS_SUBTRACT;
    if (c->kind == FEAGI_STATS_SET) {
        feagi_write_put(r, at, sizeof c->value, c->value);
        return;
    }
#if FEAGI_PORT_SHARED
    if (r->share) {
        // A sum is made from what is there when it is made: a writer that had passed the gate may still count.
        feagi_shared_put(r, down ? FEAGI_SHARED_SUBTRACT : FEAGI_SHARED_ADD, at, sizeof c->value, c->value, 0);
        return;
    }
#endif
    feagi_write_store(r, at, sizeof c->value, sum(feagi_port_load_u32(feagi_region_u32(r, at)), c->value, down));
}

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
            put_change(r, place_of(r, (uint32_t)slot, count), &changes[count]);
        }
    }
    feagi_port_unlock(key);
    feagi_write_close(r);
    return 0;
}

const feagi_stat_t *feagi_stats_at(const feagi_region_t *r, uint32_t slot) {
    return slot_of(r, slot);
}
