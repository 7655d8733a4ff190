#include "feagi_agents.h"

#include "feagi_events.h"
#include "feagi_state.h"
#include "feagi_text.h"
#include "feagi_write.h"

#define NO_SLOT UINT32_MAX
// Copies of a slot whose agent changed during each of them, before the reader takes it for a slot without an agent.
#define READ_TRIES 1000u

// The first word of a slot: state, agent_type, id_len, metadata_len, generation. It changes with every registration and
// deregistration, so a reader that finds it as before has read one agent. Shifted and not a union, so that it stays in a
// register.
typedef uint64_t first_t;
_Static_assert(offsetof(feagi_agent_t, state) == 0 && offsetof(feagi_agent_t, agent_type) == 1 &&
                   offsetof(feagi_agent_t, id_len) == 2 && offsetof(feagi_agent_t, metadata_len) == 4 &&
                   offsetof(feagi_agent_t, generation) == 6 && offsetof(feagi_agent_t, registered_at) == 8,
               "the first word of a slot");

static uint8_t state_of(first_t first) {
    return (uint8_t)first;
}
static uint8_t id_len_of(first_t first) {
    return (uint8_t)(first >> 16);
}
static uint16_t metadata_len_of(first_t first) {
    return (uint16_t)(first >> 32);
}
static uint16_t generation_of(first_t first) {
    return (uint16_t)(first >> 48);
}
static first_t with_state(first_t first, uint8_t state) {
    return (first & ~(first_t)UINT8_MAX) | state;
}

#define ID_WORDS (sizeof(((feagi_agent_t *)0)->id) / 8)
// An id as it lies in a slot, and its hash.
typedef struct {
    uint64_t words[ID_WORDS];
    uint32_t hash;
    uint8_t len_bytes;
    bool is_ascii;
} agent_id_t;

static uint32_t offset_of(const feagi_region_t *r, uint32_t slot) {
    return r->agents.at + slot * r->agents.entry_len;
}
// Of a field in the slot that lies at `at`.
#define IN(at, field) ((at) + (uint32_t)offsetof(feagi_agent_t, field))
#define AT(r, slot, field) IN(offset_of((r), (slot)), field)
#define WORD(field) (offsetof(feagi_agent_t, field) / 8)
_Static_assert(WORD(registered_at) * 8 == offsetof(feagi_agent_t, registered_at) &&
                   WORD(last_seen) * 8 == offsetof(feagi_agent_t, last_seen) && WORD(id) * 8 == offsetof(feagi_agent_t, id),
               "fields that are written as words");

static uint64_t load(const feagi_region_t *r, uint32_t offset) {
    return feagi_port_load_u64(feagi_region_u64(r, offset));
}

static first_t first_of(const feagi_region_t *r, uint32_t slot) {
    return load(r, offset_of(r, slot));
}

static bool is_registered(first_t first) {
    return state_of(first) == FEAGI_AGENT_SLOT_STATE_REGISTERED;
}

// Nothing registered has an id of another length.
static bool take_id(agent_id_t *id, const uint8_t *text, size_t len_bytes) {
    if (!len_bytes || len_bytes > FEAGI_AGENT_ID_LEN_BYTES) {
        return false;
    }
    feagi_port_clear(id->words, sizeof id->words);
    id->len_bytes = (uint8_t)len_bytes;
    uint32_t bits = 0, hash = FEAGI_TEXT_HASH;
    for (unsigned i = 0; len_bytes; i++) {
        const size_t part = len_bytes < 8 ? len_bytes : 8;
        const uint64_t word = feagi_text_word(text, part);
        hash = feagi_text_hash_word(hash, (uint32_t)word);
        hash = part > 4 ? feagi_text_hash_word(hash, (uint32_t)(word >> 32)) : hash;
        bits |= (uint32_t)(word | word >> 32);
        id->words[i] = word;
        text += part;
        len_bytes -= part;
    }
    id->hash = hash;
    id->is_ascii = !(bits & FEAGI_TEXT_NOT_ASCII);
    return true;
}

static bool has_id(const uint64_t *words, const agent_id_t *id) {
    for (unsigned i = 0; i < ID_WORDS; i++) {
        if (feagi_port_load_u64(words + WORD(id) + i) != id->words[i]) {
            return false;
        }
    }
    return true;
}

// Walks the slots from the hash's place until the id, or an unused slot: behind that the id cannot be. *free_slot receives the
// first slot on the way that a registration may take. Returns the id's slot, with *first as it was read, or NO_SLOT.
static uint32_t search(const feagi_region_t *r, const agent_id_t *id, uint32_t *free_slot, first_t *first) {
    const uint32_t last = r->agents.capacity - 1u;
    uint32_t slot = id->hash & last;
    *free_slot = NO_SLOT;
    for (uint32_t tries = last + 1; tries; tries--) {
        const uint64_t *words = feagi_region_u64(r, offset_of(r, slot));
        *first = feagi_port_load_u64(words);
        if (!is_registered(*first)) {
            if (*free_slot == NO_SLOT) {
                *free_slot = slot;
            }
            if (state_of(*first) == FEAGI_AGENT_SLOT_STATE_UNUSED) {
                return NO_SLOT;
            }
        } else if (id_len_of(*first) == id->len_bytes && has_id(words, id) && feagi_port_load_u64(words) == *first) {
            return slot;
        }
        slot = (slot + 1) & last;
    }
    return NO_SLOT;
}

static uint32_t lookup(const feagi_region_t *r, const uint8_t *text, size_t len_bytes, first_t *first) {
    agent_id_t id;
    uint32_t free_slot;
    return take_id(&id, text, len_bytes) ? search(r, &id, &free_slot, first) : NO_SLOT;
}

int feagi_agents_find(const feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    first_t first;
    const uint32_t slot = lookup(r, id, id_len_bytes, &first);
    return slot == NO_SLOT ? FEAGI_ERR_NOT_FOUND : (int)slot;
}

feagi_agent_t *feagi_agents_slot(const feagi_region_t *r, uint32_t slot) {
    return (feagi_agent_t *)(void *)(r->base + offset_of(r, slot));
}

const uint8_t *feagi_agents_metadata(const feagi_agent_t *agent) {
    return (const uint8_t *)(agent + 1);
}

static uint32_t handle_of(uint32_t slot, uint16_t generation) {
    return (uint32_t)generation << 16 | slot;
}

uint32_t feagi_agents_handle(const feagi_region_t *r, uint32_t slot) {
    return handle_of(slot, generation_of(first_of(r, slot)));
}

int feagi_agents_read(const feagi_region_t *r, uint32_t slot, uint64_t *out) {
    for (uint32_t tries = READ_TRIES; tries; tries--) {
        for (uint32_t i = 0; i < r->agents.entry_len; i += 8) {
            out[i / 8] = load(r, offset_of(r, slot) + i);
        }
        const first_t first = out[0];
        // Lengths that no registration has are not handed on: whoever believed them would read behind `out`.
        if (!is_registered(first) || id_len_of(first) > FEAGI_AGENT_ID_LEN_BYTES ||
            metadata_len_of(first) > r->agents.entry_len - sizeof(feagi_agent_t)) {
            return 0;
        }
        // The loads above have acquire order, so this one comes after them.
        if (first_of(r, slot) == first) {
            return 1;
        }
    }
    return 0;
}

// Text into a slot that has no agent, with zeros up to `until` bytes.
static void put_text(uint64_t *to, const uint8_t *text, size_t len_bytes, size_t until) {
    for (size_t i = 0; i < until; i += 8) {
        feagi_port_store_u64(to++, i < len_bytes ? feagi_text_word(text + i, len_bytes - i) : 0);
    }
}

// The slot's first word, its sequence and agent_count are one: nobody sees that registry and count disagree. And the event, in a
// group that has nothing else. A full ring counts it; the agent stands.
static void put_agent(feagi_region_t *r, uint32_t at, first_t first, uint32_t count, uint16_t kind, uint32_t handle) {
    const uint32_t sequence = feagi_port_load_u32(feagi_region_u32(r, IN(at, sequence))) + 2;
#if FEAGI_PORT_SHARED
    if (r->share) {
        feagi_shared_make_agent(r, at, first, (uint64_t)sequence << 32 | count, kind, handle);
        return;
    }
#endif
    feagi_write_store(r, IN(at, sequence), 4, sequence);
    feagi_write_store(r, at, 8, first);
    feagi_write_store(r, FEAGI_HEADER_LEN_BYTES + (uint32_t)offsetof(feagi_core_t, agent_count), 4, count);
    feagi_write_count_core(r);
    (void)feagi_events_put(r, kind, handle);
}

int feagi_agents_register(feagi_region_t *r, const uint8_t *id_text, size_t id_len_bytes, uint8_t agent_type,
                          const uint8_t *metadata, size_t metadata_len_bytes, uint32_t *handle) {
    const uint32_t metadata_room = r->agents.entry_len - (uint32_t)sizeof(feagi_agent_t);
    agent_id_t id;
    if (!take_id(&id, id_text, id_len_bytes) || metadata_len_bytes > metadata_room) {
        return FEAGI_ERR_LENGTH;
    }
    if ((!id.is_ascii && !feagi_text_valid(id_text, id_len_bytes)) || !feagi_text_valid(metadata, metadata_len_bytes)) {
        return FEAGI_ERR_ENCODING;
    }
    if (agent_type > FEAGI_AGENT_TYPE_INFRASTRUCTURE) {
        return FEAGI_ERR_RANGE;
    }
    const int status = feagi_write_open(r);
    if (status) {
        return status;
    }
    uint32_t slot;
    first_t first;
    if (search(r, &id, &slot, &first) != NO_SLOT) {
        return feagi_write_refuse(r, FEAGI_ERR_EXISTS);
    }
    const uint32_t count = feagi_state_load_u32(r, offsetof(feagi_core_t, agent_count));
    if (slot == NO_SLOT || count >= feagi_region_limit(r->agents.capacity)) {
        return feagi_write_refuse(r, FEAGI_ERR_FULL);
    }
    const uint32_t at = offset_of(r, slot);
    uint64_t *words = feagi_region_u64(r, at);
    first = feagi_port_load_u64(words);
    const size_t old_metadata_len = metadata_len_of(first) <= metadata_room ? metadata_len_of(first) : metadata_room;
    const size_t text_len = metadata_len_bytes > old_metadata_len ? metadata_len_bytes : old_metadata_len;
    const uint16_t generation = generation_of(first) == UINT16_MAX ? 1 : (uint16_t)(generation_of(first) + 1); // 0: never used
    if (feagi_write_is_shared(r)) {
        // Who looks for the id of an agent that has left sees from the generation that the slot does not keep it any more. And if
        // this process dies before the agent is there, metadata_len says how much text it may have left.
        feagi_write_store(r, at, 8, (uint32_t)first | (uint64_t)text_len << 32 | (uint64_t)generation << 48);
    }
    first = FEAGI_AGENT_SLOT_STATE_REGISTERED | (uint32_t)agent_type << 8 | (uint32_t)id.len_bytes << 16 |
            (uint64_t)metadata_len_bytes << 32 | (uint64_t)generation << 48;
    const uint64_t now = feagi_write_group_now(r);
    const uint32_t made = handle_of(slot, generation);
    // One section for slot and count. Until the first word says that there is an agent, nobody looks at the rest.
    feagi_port_key_t key = feagi_port_lock();
    feagi_port_store_u64(words + WORD(registered_at), now);
    feagi_port_store_u64(words + WORD(last_seen), now);
    for (unsigned i = 0; i < ID_WORDS; i++) {
        feagi_port_store_u64(words + WORD(id) + i, id.words[i]);
    }
    feagi_port_store_u32(feagi_region_u32(r, IN(at, id_hash)), id.hash);
    put_text(words + sizeof(feagi_agent_t) / 8, metadata, metadata_len_bytes, text_len);
    feagi_write_mark(r, IN(at, registered_at),
                     (uint32_t)(sizeof(feagi_agent_t) - offsetof(feagi_agent_t, registered_at) + text_len));
    put_agent(r, at, first, count + 1, FEAGI_EVENT_KIND_AGENT_REGISTERED, made);
    feagi_port_unlock(key);
    feagi_write_close(r);
    if (handle) {
        *handle = made;
    }
    return 0;
}

// Takes the agent out of its slot, in an open group.
static void remove_agent(feagi_region_t *r, uint32_t slot, first_t first) {
    feagi_port_key_t key = feagi_port_lock();
    put_agent(r, offset_of(r, slot), with_state(first, FEAGI_AGENT_SLOT_STATE_DEREGISTERED),
              feagi_state_load_u32(r, offsetof(feagi_core_t, agent_count)) - 1, FEAGI_EVENT_KIND_AGENT_DEREGISTERED,
              handle_of(slot, generation_of(first)));
    feagi_port_unlock(key);
}

// In a large table deregistered slots in front of an unused one become unused, so that searches stay short. Each of these stores
// leaves a table that is right.
static void clean(feagi_region_t *r, uint32_t slot) {
    const uint32_t last = r->agents.capacity - 1u;
    if (feagi_region_limit(last + 1) > last || state_of(first_of(r, (slot + 1) & last)) != FEAGI_AGENT_SLOT_STATE_UNUSED) {
        return;
    }
    for (first_t first; first = first_of(r, slot), state_of(first) == FEAGI_AGENT_SLOT_STATE_DEREGISTERED;
         slot = (slot - 1) & last) {
        feagi_write_store(r, offset_of(r, slot), 8, with_state(first, FEAGI_AGENT_SLOT_STATE_UNUSED));
    }
}

int feagi_agents_deregister(feagi_region_t *r, const uint8_t *text, size_t len_bytes) {
    agent_id_t id;
    if (!take_id(&id, text, len_bytes)) {
        return FEAGI_ERR_NOT_FOUND;
    }
    const int status = feagi_write_open(r);
    if (status) {
        return status;
    }
    uint32_t free_slot;
    first_t first;
    const uint32_t slot = search(r, &id, &free_slot, &first);
    if (slot == NO_SLOT) {
        return feagi_write_refuse(r, FEAGI_ERR_NOT_FOUND);
    }
    remove_agent(r, slot, first);
    clean(r, slot);
    feagi_write_close(r);
    return 0;
}

int feagi_agents_evict(feagi_region_t *r, uint64_t older_than_ms) {
    int evicted = 0;
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        if (!is_registered(first_of(r, slot))) {
            continue;
        }
        const int status = feagi_write_open(r);
        if (status) {
            return status;
        }
        const first_t first = first_of(r, slot);
        const uint64_t seen = load(r, AT(r, slot, last_seen)), now = feagi_write_group_now(r);
        if (!is_registered(first) || now <= seen || now - seen <= older_than_ms) {
            (void)feagi_write_refuse(r, 0);
            continue;
        }
        remove_agent(r, slot, first);
        clean(r, slot);
        feagi_write_close(r);
        evicted++;
    }
    return evicted;
}

// Sets last_seen if the slot's first word is still this one. The exchange fails if the agent was seen, or another one registered,
// after the word was looked at: then once more.
static int heartbeat(feagi_region_t *r, uint32_t slot, first_t first) {
    const uint32_t at = AT(r, slot, last_seen);
    for (;;) {
        const uint64_t seen = load(r, at);
        if (first_of(r, slot) != first) {
            return FEAGI_ERR_NOT_FOUND;
        }
        feagi_port_key_t key = feagi_write_begin(r);
        const bool done = feagi_port_cas_u64(feagi_region_u64(r, at), seen, feagi_write_now(r));
        if (done) {
            feagi_write_mark(r, at, sizeof seen);
            feagi_write_count(r);
        }
        feagi_write_end(r, key);
        if (done) {
            return 0;
        }
    }
}

int feagi_agents_heartbeat(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    first_t first;
    const uint32_t slot = lookup(r, id, id_len_bytes, &first);
    return slot == NO_SLOT ? FEAGI_ERR_NOT_FOUND : heartbeat(r, slot, first);
}

int feagi_agents_heartbeat_handle(feagi_region_t *r, uint32_t handle) {
    const uint32_t slot = FEAGI_AGENTS_SLOT(handle);
    if (slot >= r->agents.capacity) {
        return FEAGI_ERR_NOT_FOUND;
    }
    const first_t first = first_of(r, slot);
    return is_registered(first) && generation_of(first) == handle >> 16 ? heartbeat(r, slot, first) : FEAGI_ERR_NOT_FOUND;
}
