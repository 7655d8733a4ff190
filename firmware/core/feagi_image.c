#include "feagi_image.h"

#include "feagi_agents.h"
#include "feagi_areas.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_text.h"

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

int feagi_image_check(const void *mem, uint32_t len_bytes) {
    feagi_region_t r;
    // The region's length is not asked for here: an image ends where the events begin.
    if (len_bytes < FEAGI_HEADER_LEN_BYTES || feagi_region_attach(&r, (void *)(uintptr_t)mem, UINT32_MAX) ||
        r.events_at != len_bytes) {
        return FEAGI_IMAGE_HEADER;
    }
    // Only the profiles' own capacities: others could make the checks below take for ever.
    const feagi_profile_t *profile = feagi_region_profile(((const feagi_header_t *)mem)->profile);
    if (!profile || feagi_region_len(profile) != r.len_bytes) {
        return FEAGI_IMAGE_HEADER;
    }
    return !core_is_good(&r)                                                  ? FEAGI_IMAGE_CORE
           : !agents_are_good(&r)                                             ? FEAGI_IMAGE_AGENTS
           : !areas_are_good(&r, &r.locks) || !areas_are_good(&r, &r.windows) ? FEAGI_IMAGE_AREAS
           : !stats_are_good(&r)                                              ? FEAGI_IMAGE_STATS
                                                                              : FEAGI_IMAGE_GOOD;
}
