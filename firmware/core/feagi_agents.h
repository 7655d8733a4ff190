// The agent table: a fixed number of slots, open addressing from the id's hash.
//
// One context changes the table: the event ring's producer; in a shared region any thread. Any context may read. Where a call
// says so, FEAGI_ERR_BUSY comes in a shared region only, and nothing was changed.
#ifndef FEAGI_AGENTS_H
#define FEAGI_AGENTS_H

#include "feagi_region.h"

// An agent's handle: generation of its slot << 16 | number of the slot.
#define FEAGI_AGENTS_SLOT(handle) ((handle)&0xffffu)

// Registers an agent: id of 1..31 bytes and metadata up to the profile's capacity, both UTF-8. Sets registered_at and last_seen
// to the region's time, adds 1 to agent_count, pushes AGENT_REGISTERED with the handle, which *handle (may be NULL) receives.
// Producer only. Returns 0, FEAGI_ERR_EXISTS, FEAGI_ERR_FULL, FEAGI_ERR_LENGTH, FEAGI_ERR_ENCODING, FEAGI_ERR_RANGE (no such
// agent type) or FEAGI_ERR_BUSY.
int feagi_agents_register(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes, uint8_t agent_type, const uint8_t *metadata,
                          size_t metadata_len_bytes, uint32_t *handle);

// Deregisters an agent, subtracts 1 from agent_count, pushes AGENT_DEREGISTERED with the handle. Producer only.
// Returns 0, FEAGI_ERR_NOT_FOUND or FEAGI_ERR_BUSY.
int feagi_agents_deregister(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes);

// Sets the agent's last_seen to the region's time. Producer only. Returns 0 or FEAGI_ERR_NOT_FOUND.
int feagi_agents_heartbeat(feagi_region_t *r, const uint8_t *id, size_t id_len_bytes);

// The same by the agent's handle, without a search. Producer only. Returns 0, or FEAGI_ERR_NOT_FOUND: that agent is not
// registered any more.
int feagi_agents_heartbeat_handle(feagi_region_t *r, uint32_t handle);

// Deregisters every agent that was seen last more than `older_than_ms` ago. Producer only.
// Returns how many, or FEAGI_ERR_BUSY: those before stay deregistered.
int feagi_agents_evict(feagi_region_t *r, uint64_t older_than_ms);

// Copies slot `slot` (< r->agents.capacity) to `out` (r->agents.entry_len bytes). Never waits. Any context.
// Returns 1 if the copy is that of one registered agent, else 0.
int feagi_agents_read(const feagi_region_t *r, uint32_t slot, uint64_t *out);

// The slot of a registered agent, or FEAGI_ERR_NOT_FOUND. Any context.
int feagi_agents_find(const feagi_region_t *r, const uint8_t *id, size_t id_len_bytes);

// Slot `slot` (< r->agents.capacity), whatever its state. Any context.
feagi_agent_t *feagi_agents_slot(const feagi_region_t *r, uint32_t slot);

// Metadata of a slot; metadata_len bytes of it count. Any context.
const uint8_t *feagi_agents_metadata(const feagi_agent_t *agent);

// The handle of the agent that is or was in this slot. Any context.
uint32_t feagi_agents_handle(const feagi_region_t *r, uint32_t slot);

#endif
