#include "feagi_agents.h"

#include "feagi_events.h"
#include "feagi_state.h"
#include "feagi_text.h"

#define NO_SLOT UINT32_MAX

feagi_agent_t *feagi_agents_slot(const feagi_region_t *r, uint32_t slot) {
    return (feagi_agent_t *)(void *)(r->base + r->agents.at + slot * r->agents.entry_len);
}

const uint8_t *feagi_agents_metadata(const feagi_agent_t *agent) {
    return (const uint8_t *)(agent + 1);
}

uint32_t feagi_agents_handle(const feagi_region_t *r, uint32_t slot) {
    return (uint32_t)feagi_agents_slot(r, slot)->generation << 16 | slot;
}

// Walks the slots from the hash's place until the id, or a slot that was never used: behind that the id cannot be. *free
// receives the first slot on the way that a registration may take. Returns the id's slot or NO_SLOT.
static uint32_t search(const feagi_region_t *r, const uint8_t *id, size_t len_bytes, uint32_t hash, uint32_t *free_slot) {
    *free_slot = NO_SLOT;
    uint32_t slot = hash % r->agents.capacity;
    for (uint32_t tries = r->agents.capacity; tries; tries--) {
        const feagi_agent_t *a = feagi_agents_slot(r, slot);
        if (a->state != FEAGI_AGENT_SLOT_STATE_REGISTERED) {
            if (*free_slot == NO_SLOT) {
                *free_slot = slot;
            }
            if (a->state == FEAGI_AGENT_SLOT_STATE_UNUSED) {
                return NO_SLOT;
            }
        } else if (a->id_hash == hash && a->id_len == len_bytes && feagi_port_equal(a->id, id, len_bytes)) {
            return slot;
        }
        if (++slot == r->agents.capacity) {
            slot = 0;
        }
    }
    return NO_SLOT;
}

static uint32_t lookup(const feagi_region_t *r, const uint8_t *id, size_t len_bytes) {
    uint32_t free_slot;
    return search(r, id, len_bytes, feagi_text_hash(id, len_bytes), &free_slot);
}

int feagi_agents_find(const feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    uint32_t slot = lookup(r, id, id_len_bytes);
    return slot == NO_SLOT ? FEAGI_ERR_NOT_FOUND : (int)slot;
}

// Marks one member of a slot as changed.
#define MARK(r, slot, field)                                                                                                     \
    feagi_region_mark_bytes((r), (r)->agents.at + (slot) * (r)->agents.entry_len + (uint32_t)offsetof(feagi_agent_t, field),     \
                            sizeof(((feagi_agent_t *)0)->field))

int feagi_agents_register(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes, uint8_t agent_type, const uint8_t *metadata,
                          size_t metadata_len_bytes, uint32_t *handle) {
    if (!id_len_bytes || id_len_bytes > FEAGI_AGENT_ID_LEN_BYTES ||
        metadata_len_bytes > r->agents.entry_len - sizeof(feagi_agent_t)) {
        return FEAGI_ERR_LENGTH;
    }
    if (!feagi_text_valid(id, id_len_bytes) || !feagi_text_valid(metadata, metadata_len_bytes)) {
        return FEAGI_ERR_ENCODING;
    }
    if (agent_type > FEAGI_AGENT_TYPE_INFRASTRUCTURE) {
        return FEAGI_ERR_RANGE;
    }
    uint32_t hash = feagi_text_hash(id, id_len_bytes);
    uint32_t slot;
    if (search(r, id, id_len_bytes, hash, &slot) != NO_SLOT) {
        return FEAGI_ERR_EXISTS;
    }
    if (slot == NO_SLOT) {
        return FEAGI_ERR_FULL;
    }
    feagi_agent_t *a = feagi_agents_slot(r, slot);
    // One section for slot and count: nobody sees agent_count and the table disagree, nor half an agent.
    feagi_port_key_t key = feagi_port_lock();
    uint32_t sequence = a->sequence;
    uint16_t generation = a->generation == UINT16_MAX ? 1 : (uint16_t)(a->generation + 1); // 0: never used
    feagi_port_clear(a, r->agents.entry_len);
    a->agent_type = agent_type;
    a->id_len = (uint8_t)id_len_bytes;
    a->metadata_len = (uint16_t)metadata_len_bytes;
    a->generation = generation;
    a->registered_at = r->now_ms;
    a->last_seen = r->now_ms;
    a->id_hash = hash;
    feagi_port_copy(a->id, id, id_len_bytes);
    feagi_port_copy(a + 1, metadata, metadata_len_bytes);
    a->sequence = sequence + 2;
    a->state = FEAGI_AGENT_SLOT_STATE_REGISTERED;
    feagi_state_put(r, FEAGI_FIELD_AGENT_COUNT, feagi_state_get(r, FEAGI_FIELD_AGENT_COUNT) + 1);
    feagi_region_mark_bytes(r, r->agents.at + slot * r->agents.entry_len, r->agents.entry_len);
    feagi_port_unlock(key);
    uint32_t made = feagi_agents_handle(r, slot);
    (void)feagi_events_push(r, FEAGI_EVENT_KIND_AGENT_REGISTERED, made); // a full ring counts it; the agent stands
    if (handle) {
        *handle = made;
    }
    return 0;
}

int feagi_agents_deregister(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    uint32_t slot = lookup(r, id, id_len_bytes);
    if (slot == NO_SLOT) {
        return FEAGI_ERR_NOT_FOUND;
    }
    feagi_agent_t *a = feagi_agents_slot(r, slot);
    feagi_port_key_t key = feagi_port_lock();
    a->state = FEAGI_AGENT_SLOT_STATE_DEREGISTERED;
    a->sequence += 2;
    feagi_state_put(r, FEAGI_FIELD_AGENT_COUNT, feagi_state_get(r, FEAGI_FIELD_AGENT_COUNT) - 1);
    MARK(r, slot, state);
    MARK(r, slot, sequence);
    feagi_port_unlock(key);
    (void)feagi_events_push(r, FEAGI_EVENT_KIND_AGENT_DEREGISTERED, feagi_agents_handle(r, slot));
    return 0;
}

int feagi_agents_heartbeat(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes) {
    uint32_t slot = lookup(r, id, id_len_bytes);
    if (slot == NO_SLOT) {
        return FEAGI_ERR_NOT_FOUND;
    }
    feagi_port_key_t key = feagi_port_lock();
    feagi_port_store_u64(&feagi_agents_slot(r, slot)->last_seen, r->now_ms);
    MARK(r, slot, last_seen);
    feagi_port_unlock(key);
    return 0;
}
