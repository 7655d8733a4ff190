#include "feagi_agents.h"

#include "feagi_events.h"
#include "feagi_state.h"
#include "feagi_table.h"
#include "feagi_text.h"
#include "feagi_write.h"

// Copies of a slot whose agent changed during each of them, before the reader takes it for a slot without an agent.
#define READ_TRIES 1000u

static const feagi_table_t by_id = {
    .state_at = offsetof(feagi_agent_t, state),
    .key_len_at = offsetof(feagi_agent_t, id_len),
    .key_at = offsetof(feagi_agent_t, id),
    .key_bytes = sizeof(((feagi_agent_t *)0)->id),
    .leaves = true,
};
_Static_assert((int)FEAGI_AGENT_SLOT_STATE_UNUSED == FEAGI_TABLE_UNUSED &&
                   (int)FEAGI_AGENT_SLOT_STATE_REGISTERED == FEAGI_TABLE_USED &&
                   (int)FEAGI_AGENT_SLOT_STATE_DEREGISTERED == FEAGI_TABLE_LEFT,
               "an agent's slot has a table's states");

// The first word of a slot: state, agent_type, id_len, metadata_len, generation. It changes with every registration and
// deregistration, so a reader that finds it as before has read one agent. Shifted and not a union, so that it stays in a
// register.
typedef uint64_t first_t;
_Static_assert(offsetof(feagi_agent_t, state) == 0 && offsetof(feagi_agent_t, id_len) == 2 &&
                   offsetof(feagi_agent_t, metadata_len) == 4 && offsetof(feagi_agent_t, generation) == 6 &&
                   offsetof(feagi_agent_t, registered_at) == 8,
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
static bool is_registered(first_t first) {
    return state_of(first) == FEAGI_AGENT_SLOT_STATE_REGISTERED;
}

static uint32_t agent_at(const feagi_region_t *r, uint32_t slot) {
    return feagi_table_at(&r->agents, slot);
}
// Offset of a field in the slot that lies at `at`.
#define FIELD_AT(at, field) ((at) + (uint32_t)offsetof(feagi_agent_t, field))

static first_t first_of(const feagi_region_t *r, uint32_t slot) {
    return feagi_write_load(r, agent_at(r, slot), 8);
}

// The slot of the agent with this id, with its first word, or FEAGI_TABLE_NONE. Nothing registered has an id of another length.
static uint32_t look_up(const feagi_region_t *r, const uint8_t *text, size_t len_bytes, first_t *first) {
    feagi_key_t id;
    uint32_t slot = FEAGI_TABLE_NONE, free_slot;
    if (feagi_table_key(&id, text, len_bytes, FEAGI_AGENT_ID_LEN_BYTES)) {
        slot = feagi_table_search(r, &r->agents, &by_id, &id, &free_slot);
    }
    if (slot != FEAGI_TABLE_NONE) {
#if FEAGI_PORT_SHARED
        *first = id.first;
#else
        *first = first_of(r, slot);
#endif
    }
    return slot;
}

int feagi_agents_find(const feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    first_t first;
    const uint32_t slot = look_up(r, id, id_len_bytes, &first);
    return slot == FEAGI_TABLE_NONE ? FEAGI_ERR_NOT_FOUND : (int)slot;
}

feagi_agent_t *feagi_agents_slot(const feagi_region_t *r, uint32_t slot) {
    return (feagi_agent_t *)(void *)(r->base + agent_at(r, slot));
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
            out[i / 8] = feagi_write_load(r, agent_at(r, slot) + i, 8);
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

// The slot's first word, its sequence and agent_count are one: nobody sees that registry and count disagree. And the event, in a
// group that has nothing else. A full ring counts it; the agent stands. In a section.
static void put_agent(feagi_region_t *r, uint32_t slot, first_t first, uint32_t count, uint16_t kind) {
    const uint32_t at = agent_at(r, slot), handle = handle_of(slot, generation_of(first));
    const uint32_t sequence = feagi_port_load_u32(feagi_region_u32(r, FIELD_AT(at, sequence))) + 2;
#if FEAGI_PORT_SHARED
    if (r->share) {
        feagi_shared_make_agent(r, at, first, (uint64_t)sequence << 32 | count, kind, handle);
        return;
    }
#endif
    feagi_write_store(r, FIELD_AT(at, sequence), 4, sequence);
    feagi_write_store(r, at, 8, first);
    feagi_write_store(r, FEAGI_HEADER_LEN_BYTES + (uint32_t)offsetof(feagi_core_t, agent_count), 4, count);
    feagi_write_count_core(r);
    (void)feagi_events_put(r, kind, handle);
}

// Text into a slot that has no agent, with zeros up to `until` bytes.
static void put_text(feagi_region_t *r, uint32_t at, const uint8_t *text, size_t len_bytes, size_t until) {
#if FEAGI_PORT_SHARED
    for (size_t i = 0; i < until; i += 8) {
        feagi_write_word(r, at + (uint32_t)i, 8, i < len_bytes ? feagi_text_word(text + i, len_bytes - i) : 0);
    }
#else
    feagi_port_copy(r->base + at, text, len_bytes);
    feagi_port_clear(r->base + at + len_bytes, until - len_bytes);
#endif
}

int feagi_agents_register(feagi_region_t *r, const uint8_t *id_text, size_t id_len_bytes, uint8_t agent_type,
                          const uint8_t *metadata, size_t metadata_len_bytes, uint32_t *handle) {
    const uint32_t metadata_room = r->agents.entry_len - (uint32_t)sizeof(feagi_agent_t);
    feagi_key_t id;
    if (!feagi_table_key(&id, id_text, id_len_bytes, FEAGI_AGENT_ID_LEN_BYTES) || metadata_len_bytes > metadata_room) {
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
    if (feagi_table_search(r, &r->agents, &by_id, &id, &slot) != FEAGI_TABLE_NONE) {
        return feagi_write_refuse(r, FEAGI_ERR_EXISTS);
    }
    const uint32_t count = feagi_state_load_u32(r, offsetof(feagi_core_t, agent_count));
    if (slot == FEAGI_TABLE_NONE || count >= feagi_region_limit(r->agents.capacity)) {
        return feagi_write_refuse(r, FEAGI_ERR_FULL);
    }
    const uint32_t at = agent_at(r, slot);
    first_t first = first_of(r, slot);
    const uint32_t generation = generation_of(first) == UINT16_MAX ? 1 : generation_of(first) + 1u; // 0: never used
    size_t text_len = metadata_len_of(first); // so much text may be left in the slot
    if (feagi_write_is_shared(r)) {
        text_len = text_len <= metadata_room ? text_len : metadata_room;
    }
    text_len = metadata_len_bytes > text_len ? metadata_len_bytes : text_len;
    if (feagi_write_is_shared(r)) {
        // Who looks for the id of an agent that has left sees from the generation that the slot does not keep it any more. And if
        // this process dies before the agent is there, metadata_len says how much text it may have left.
        feagi_write_word(r, at, 8, (uint32_t)first | (uint64_t)text_len << 32 | (uint64_t)generation << 48);
    }
    first = FEAGI_AGENT_SLOT_STATE_REGISTERED | (uint32_t)agent_type << 8 | (uint32_t)id.len << 16 |
            (uint64_t)((uint32_t)metadata_len_bytes | generation << 16) << 32;
    const uint64_t now = feagi_write_group_now(r);
    // One section for slot and count. Until the first word says that there is an agent, nobody looks at the rest.
    feagi_port_key_t key = feagi_port_lock();
    feagi_write_word(r, FIELD_AT(at, registered_at), 8, now);
    feagi_write_word(r, FIELD_AT(at, last_seen), 8, now);
    for (uint32_t i = 0; i < sizeof id.words / 8; i++) {
        feagi_write_word(r, FIELD_AT(at, id) + 8 * i, 8, id.words[i]);
    }
    feagi_write_word(r, FIELD_AT(at, id_hash), 4, id.hash);
    put_text(r, at + (uint32_t)sizeof(feagi_agent_t), metadata, metadata_len_bytes, text_len);
    feagi_region_mark(r, FIELD_AT(at, registered_at),
                      (uint32_t)(sizeof(feagi_agent_t) - offsetof(feagi_agent_t, registered_at) + text_len));
    put_agent(r, slot, first, count + 1, FEAGI_EVENT_KIND_AGENT_REGISTERED);
    feagi_port_unlock(key);
    feagi_write_close(r);
    if (handle) {
        *handle = handle_of(slot, (uint16_t)generation);
    }
    return 0;
}

// In a large table deregistered slots in front of an unused one become unused, so that searches stay short. Each of these stores
// leaves a table that is right. In a section.
static void clean(feagi_region_t *r, uint32_t slot) {
    const uint32_t last = r->agents.capacity - 1u;
    if (feagi_region_limit(last + 1) > last || state_of(first_of(r, (slot + 1) & last)) != FEAGI_AGENT_SLOT_STATE_UNUSED) {
        return;
    }
    for (first_t first; first = first_of(r, slot), state_of(first) == FEAGI_AGENT_SLOT_STATE_DEREGISTERED;
         slot = (slot - 1) & last) {
        feagi_write_store(r, agent_at(r, slot), 8, with_state(first, FEAGI_AGENT_SLOT_STATE_UNUSED));
    }
}

// Takes the agent out of its slot, in an open group, and closes that.
static void remove_agent(feagi_region_t *r, uint32_t slot, first_t first) {
    feagi_port_key_t key = feagi_port_lock();
    put_agent(r, slot, with_state(first, FEAGI_AGENT_SLOT_STATE_DEREGISTERED),
              feagi_state_load_u32(r, offsetof(feagi_core_t, agent_count)) - 1, FEAGI_EVENT_KIND_AGENT_DEREGISTERED);
    clean(r, slot);
    feagi_port_unlock(key);
    feagi_write_close(r);
}

int feagi_agents_deregister(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    const int status = feagi_write_open(r);
    if (status) {
        return status;
    }
    first_t first;
    const uint32_t slot = look_up(r, id, id_len_bytes, &first);
    if (slot == FEAGI_TABLE_NONE) {
        return feagi_write_refuse(r, FEAGI_ERR_NOT_FOUND);
    }
    remove_agent(r, slot, first);
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
        const uint64_t seen = feagi_write_load(r, FIELD_AT(agent_at(r, slot), last_seen), 8), now = feagi_write_group_now(r);
        if (!is_registered(first) || now <= seen || now - seen <= older_than_ms) {
            (void)feagi_write_refuse(r, 0);
            continue;
        }
        remove_agent(r, slot, first);
        evicted++;
    }
    return evicted;
}

// Sets last_seen if the slot's first word is still this one. The exchange fails if the agent was seen, or another one registered,
// after the word was looked at: then once more.
static int heartbeat(feagi_region_t *r, uint32_t slot, first_t first) {
    const uint32_t at = FIELD_AT(agent_at(r, slot), last_seen);
    for (;;) {
        const uint64_t seen = feagi_write_load(r, at, 8);
        if (first_of(r, slot) != first) {
            return FEAGI_ERR_NOT_FOUND;
        }
        if (feagi_write_exchange(r, at, seen, feagi_write_now(r))) {
            return 0;
        }
    }
}

int feagi_agents_heartbeat(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    first_t first;
    const uint32_t slot = look_up(r, id, id_len_bytes, &first);
    return slot == FEAGI_TABLE_NONE ? FEAGI_ERR_NOT_FOUND : heartbeat(r, slot, first);
}

int feagi_agents_heartbeat_handle(feagi_region_t *r, uint32_t handle) {
    const uint32_t slot = FEAGI_AGENTS_SLOT(handle);
    if (slot >= r->agents.capacity) {
        return FEAGI_ERR_NOT_FOUND;
    }
    const first_t first = first_of(r, slot);
    return is_registered(first) && generation_of(first) == handle >> 16 ? heartbeat(r, slot, first) : FEAGI_ERR_NOT_FOUND;
}
