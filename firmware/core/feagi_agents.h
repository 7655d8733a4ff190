// The agent table: a fixed number of slots, open addressing from the id's hash.
//
// One context changes the table: the event ring's producer. Any context may read a slot.
#ifndef FEAGI_AGENTS_H
#define FEAGI_AGENTS_H

#include "feagi_region.h"

// An agent's handle: generation of its slot << 16 | number of the slot.
#define FEAGI_AGENTS_SLOT(handle) ((handle)&0xffffu)

// Registers an agent: id of 1..31 bytes and metadata up to the profile's capacity, both UTF-8. Sets registered_at and last_seen
// to the region's time, adds 1 to agent_count, pushes AGENT_REGISTERED with the handle, which *handle (may be NULL) receives. One
// critical section of about 8 instructions a byte of the slot. Producer only. Returns 0, FEAGI_ERR_EXISTS, FEAGI_ERR_FULL,
// FEAGI_ERR_LENGTH, FEAGI_ERR_ENCODING or FEAGI_ERR_RANGE (no such agent type).
int feagi_agents_register(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes, uint8_t agent_type, const uint8_t *metadata,
                          size_t metadata_len_bytes, uint32_t *handle);

// Deregisters an agent, subtracts 1 from agent_count, pushes AGENT_DEREGISTERED with the handle. Producer only.
// Returns 0 or FEAGI_ERR_NOT_FOUND.
int feagi_agents_deregister(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes);

// Sets the agent's last_seen to the region's time. Producer only. Returns 0 or FEAGI_ERR_NOT_FOUND.
int feagi_agents_heartbeat(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes);

// The slot of a registered agent, or FEAGI_ERR_NOT_FOUND. Any context.
int feagi_agents_find(const feagi_region_t *r, const uint8_t *id, size_t id_len_bytes);

// Slot `slot` (< r->agents.capacity), whatever its state. Any context.
feagi_agent_t *feagi_agents_slot(const feagi_region_t *r, uint32_t slot);

// Metadata of a slot; metadata_len bytes of it count. Any context.
const uint8_t *feagi_agents_metadata(const feagi_agent_t *agent);

// The handle of the agent that is or was in this slot. Any context.
uint32_t feagi_agents_handle(const feagi_region_t *r, uint32_t slot);

#endif
