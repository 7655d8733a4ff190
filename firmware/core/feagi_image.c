#include "feagi_image.h"

#include "feagi_agents.h"
#include "feagi_areas.h"
#include "feagi_crc.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_text.h"
#include "feagi_write.h"

static bool core_is_good(const feagi_region_t *r) {
    for (unsigned field = 0; field < FEAGI_FIELDS; field++) {
        if (feagi_fields[field].type <= FEAGI_TYPE_BOOL && feagi_state_get(r, field) > feagi_fields[field].limit) {
            return false;
        }
    }
    return true;
}

static bool agents_are_good(const feagi_region_t *r) {
    uint32_t count = 0;
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        const feagi_agent_t *a = feagi_agents_slot(r, slot);
        if (a->state > FEAGI_AGENT_SLOT_STATE_DEREGISTERED) {
            return false;
        }
        if (a->state != FEAGI_AGENT_SLOT_STATE_REGISTERED) {
            continue;
        }
        count++;
        // Found by its id in this very slot: no other one has the id, and no unused slot hides it.
        if (!a->id_len || a->id_len > FEAGI_AGENT_ID_LEN_BYTES || a->agent_type > FEAGI_AGENT_TYPE_INFRASTRUCTURE ||
            !a->generation || a->metadata_len > r->agents.entry_len - sizeof *a || !feagi_text_valid(a->id, a->id_len) ||
            !feagi_text_valid(feagi_agents_metadata(a), a->metadata_len) || a->id_hash != feagi_text_hash(a->id, a->id_len) ||
            feagi_agents_find(r, a->id, a->id_len) != (int)slot) {
            return false;
        }
    }
    return count == feagi_state_get(r, FEAGI_FIELD_AGENT_COUNT) && count <= feagi_region_limit(r->agents.capacity);
}

// Locks and windows: a slot begins with {u32 area, u32 used}.
static bool areas_are_good(const feagi_region_t *r, const feagi_place_t *table) {
    for (uint32_t slot = 0; slot < table->capacity; slot++) {
        const uint32_t *entry = feagi_region_u32(r, table->at + slot * table->entry_len);
        if (entry[1] > 1 || (entry[1] && feagi_areas_find(r, table, entry[0]) != feagi_table_at(table, slot))) {
            return false;
        }
    }
    return true;
}

static bool stats_are_good(const feagi_region_t *r) {
    for (uint32_t slot = 0; slot < r->stats.capacity; slot++) {
        const feagi_stat_t *s = feagi_stats_at(r, slot);
        if (s->state > 1 ||
            (s->state && (!s->id_len || s->id_len > FEAGI_AREA_ID_LEN_BYTES || !feagi_text_valid(s->id, s->id_len) ||
                          feagi_stats_find(r, s->id, s->id_len) != (int)slot))) {
            return false;
        }
    }
    return true;
}

// feagi_image_check, with a handle to the image's region.
static int attach(feagi_region_t *r, const void *mem, uint32_t len_bytes) {
    // The region's length is not asked for here: an image ends where the events begin.
    if (len_bytes < FEAGI_HEADER_LEN_BYTES || feagi_region_attach(r, (void *)(uintptr_t)mem, UINT32_MAX) ||
        r->events_at != len_bytes) {
        return FEAGI_IMAGE_HEADER;
    }
    // Only the profiles' own capacities: others could make the checks below take for ever.
    const feagi_profile_t *profile = feagi_region_profile(((const feagi_header_t *)mem)->profile);
    if (!profile || feagi_region_len(profile) != r->len_bytes) {
        return FEAGI_IMAGE_HEADER;
    }
    return !core_is_good(r)                                                   ? FEAGI_IMAGE_CORE
           : !agents_are_good(r)                                              ? FEAGI_IMAGE_AGENTS
           : !areas_are_good(r, &r->locks) || !areas_are_good(r, &r->windows) ? FEAGI_IMAGE_AREAS
           : !stats_are_good(r)                                               ? FEAGI_IMAGE_STATS
                                                                              : FEAGI_IMAGE_GOOD;
}

int feagi_image_check(const void *mem, uint32_t len_bytes) {
    feagi_region_t r;
    return attach(&r, mem, len_bytes);
}

// ---- On a device

// Of the whole image but its own place, which counts as zeros.
static uint32_t crc_of(const feagi_image_t *image) {
    const uint32_t none = 0;
    const uint8_t *bytes = (const uint8_t *)image;
    uint32_t crc = feagi_crc_update(0, bytes, offsetof(feagi_image_t, crc));
    crc = feagi_crc_update(crc, (const uint8_t *)&none, sizeof none);
    return feagi_crc_update(crc, bytes + offsetof(feagi_image_t, saved_at),
                            sizeof *image - offsetof(feagi_image_t, saved_at) + image->len_bytes);
}
_Static_assert(offsetof(feagi_image_t, saved_at) == offsetof(feagi_image_t, crc) + sizeof(uint32_t), "saved_at follows crc");

// Makes a page of a region what it is in another one of the same layout. In one section: interrupts never meet half of it, and
// the link sends it whole.
static void copy_page(feagi_region_t *to, const feagi_region_t *from, uint32_t page) {
    uint32_t len_bytes, at = feagi_region_page(from, page, &len_bytes);
    feagi_port_key_t key = feagi_port_lock();
    for (const uint32_t end = at + len_bytes; at < end; at += 4) {
        const uint32_t word = *feagi_region_u32(from, at);
        if (*feagi_region_u32(to, at) != word) {
            *feagi_region_u32(to, at) = word;
            feagi_region_mark_word(to, at);
        }
    }
    feagi_port_unlock(key);
}

uint32_t feagi_image_len(const feagi_region_t *r) {
    return (uint32_t)sizeof(feagi_image_t) + r->events_at;
}

void feagi_image_seal(void *mem, uint32_t len_bytes, uint64_t saved_at_ms) {
    feagi_image_t *image = (feagi_image_t *)mem;
    feagi_port_clear(image, sizeof *image);
    image->magic = FEAGI_MAGIC_IMAGE;
    image->image_version = FEAGI_IMAGE_VERSION;
    image->len_bytes = len_bytes;
    image->saved_at = saved_at_ms;
    image->crc = crc_of(image);
}

void feagi_image_save(const feagi_region_t *r, void *mem) {
    feagi_image_t *image = (feagi_image_t *)mem;
    feagi_port_clear(mem, feagi_image_len(r)); // also what no page covers
    feagi_region_t copy;
    feagi_port_copy(&copy, r, sizeof copy);
    copy.base = (uint8_t *)(image + 1);
    copy.dirty = NULL;
    for (uint32_t page = 0; page < r->pages; page++) {
        copy_page(&copy, r, page);
    }
    feagi_image_seal(image, r->events_at, feagi_write_group_now(r));
}

int feagi_image_open(feagi_region_t *saved, const void *mem, uint32_t len_bytes) {
    const feagi_image_t *image = (const feagi_image_t *)mem;
    if (len_bytes < sizeof *image) { // first: what is empty lies anywhere
        return FEAGI_IMAGE_MAGIC;
    }
    if ((uintptr_t)mem % 8) {
        return FEAGI_IMAGE_ALIGNMENT;
    }
    if (image->magic != FEAGI_MAGIC_IMAGE) {
        return FEAGI_IMAGE_MAGIC;
    }
    if (image->image_version != FEAGI_IMAGE_VERSION) {
        return FEAGI_IMAGE_FORMAT;
    }
    if (image->len_bytes != len_bytes - sizeof *image) {
        return FEAGI_IMAGE_LENGTH;
    }
    return crc_of(image) != image->crc ? FEAGI_IMAGE_CRC : attach(saved, image + 1, image->len_bytes);
}

static const feagi_agent_t *same_agent(const feagi_region_t *r, const feagi_agent_t *agent) {
    const int slot = feagi_agents_find(r, agent->id, agent->id_len);
    const feagi_agent_t *found = slot < 0 ? NULL : feagi_agents_slot(r, (uint32_t)slot);
    const bool is_same = found && found->agent_type == agent->agent_type && found->metadata_len == agent->metadata_len &&
                         feagi_port_equal(feagi_agents_metadata(found), feagi_agents_metadata(agent), agent->metadata_len);
    return is_same ? found : NULL;
}

// Agents that the image does not have leave, then those come that the region does not have; the others keep their handles.
static void restore_agents(feagi_region_t *r, const feagi_region_t *saved) {
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        const feagi_agent_t *agent = feagi_agents_slot(r, slot);
        if (agent->state == FEAGI_AGENT_SLOT_STATE_REGISTERED && !same_agent(saved, agent)) {
            (void)feagi_agents_deregister(r, agent->id, agent->id_len);
        }
    }
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        const feagi_agent_t *agent = feagi_agents_slot(saved, slot);
        if (agent->state == FEAGI_AGENT_SLOT_STATE_REGISTERED) { // one that is there already is refused
            (void)feagi_agents_register(r, agent->id, agent->id_len, agent->agent_type, feagi_agents_metadata(agent),
                                        agent->metadata_len, NULL);
        }
    }
}

int feagi_image_restore(feagi_region_t *r, const feagi_region_t *saved) {
    if (saved->len_bytes != r->len_bytes) {
        return FEAGI_IMAGE_PROFILE;
    }
    for (unsigned field = 0; field < FEAGI_FIELDS; field++) {
        (void)feagi_state_set(r, field, feagi_state_get(saved, field), NULL); // those that the core keeps are refused
    }
    copy_page(r, saved, (uint32_t)feagi_region_page_of(r, FEAGI_HASHES_AT));
    restore_agents(r, saved);
    for (uint32_t page = (uint32_t)feagi_region_page_of(r, r->windows.at); page < r->pages; page++) {
        copy_page(r, saved, page); // windows and statistics
    }
    return FEAGI_IMAGE_GOOD;
}
