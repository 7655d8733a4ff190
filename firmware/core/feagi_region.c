#include "feagi_region.h"

#include "feagi_crc.h"

static const uint16_t core_pages[FEAGI_CORE_PAGES + 1] = FEAGI_CORE_PAGE_OFFSETS;

// The header's page and the core block's come before the agents'.
#define FIRST_AGENT_PAGE (1u + FEAGI_CORE_PAGES)

static uint32_t aligned(uint32_t offset) {
    return (offset + FEAGI_SECTION_ALIGN_BYTES - 1) & ~(FEAGI_SECTION_ALIGN_BYTES - 1);
}

// Fills the handle with the layout that these capacities give: the one place that knows how sections follow each other.
// Returns the region's length, or 0 if a capacity cannot be.
static uint32_t lay_out(feagi_region_t *r, uint32_t agents, uint32_t agent_len, uint32_t events) {
    if (!agents || agents > UINT16_MAX || agent_len < sizeof(feagi_agent_t) || agent_len > UINT16_MAX || agent_len % 8 ||
        !events || events > UINT16_MAX || (events & (events - 1))) {
        return 0;
    }
    r->dirty = NULL;
    r->now_ms = 0;
    r->agents_at = aligned(FEAGI_HEADER_LEN_BYTES + sizeof(feagi_core_t));
    r->agents = (uint16_t)agents;
    r->agent_len = (uint16_t)agent_len;
    r->agent_pages = (uint16_t)((agent_len + FEAGI_PAGE_LEN_BYTES - 1) / FEAGI_PAGE_LEN_BYTES);
    // Both factors are below 2^16, and a slot has at most 512 pages: neither product can wrap.
    r->events_at = aligned(r->agents_at + agents * agent_len);
    uint32_t pages = FIRST_AGENT_PAGE + agents * r->agent_pages;
    if (r->events_at < r->agents_at || pages > UINT16_MAX) {
        return 0;
    }
    r->pages = (uint16_t)pages;
    r->events_mask = events - 1;
    uint32_t len_bytes = r->events_at + (uint32_t)sizeof(feagi_ring_t) + events * (uint32_t)sizeof(feagi_event_t);
    return len_bytes > r->events_at ? len_bytes : 0;
}

static uint32_t lay_out_profile(feagi_region_t *r, const feagi_profile_t *profile) {
    return lay_out(r, profile->agents, (uint32_t)sizeof(feagi_agent_t) + profile->agent_metadata_len_bytes, profile->events);
}

const feagi_profile_t *feagi_region_profile(uint8_t id) {
    for (const feagi_profile_t *p = feagi_profiles; p->id; p++) {
        if (p->id == id) {
            return p;
        }
    }
    return NULL;
}

uint32_t feagi_region_len(const feagi_profile_t *profile) {
    feagi_region_t r;
    return lay_out_profile(&r, profile);
}

static void put_section(feagi_header_t *h, uint32_t number, uint32_t offset, uint32_t capacity, uint32_t entry_len) {
    feagi_section_t *s = &h->sections[number];
    s->offset = offset;
    s->capacity = (uint16_t)capacity;
    s->entry_len = (uint16_t)entry_len;
}

int feagi_region_init(feagi_region_t *r, void *mem, uint32_t len_bytes, uint8_t profile, uint32_t boot_id) {
    const feagi_profile_t *p = feagi_region_profile(profile);
    if (!p) {
        return FEAGI_ERR_LAYOUT;
    }
    r->len_bytes = lay_out_profile(r, p);
    if ((uintptr_t)mem % 8 || len_bytes < r->len_bytes) {
        return FEAGI_ERR_LENGTH;
    }
    r->base = (uint8_t *)mem;
    feagi_port_clear(mem, r->len_bytes);
    feagi_header_t *h = (feagi_header_t *)mem;
    h->layout_version = FEAGI_LAYOUT_VERSION;
    h->profile = profile;
    h->section_count = FEAGI_SECTION_EVENTS + 1;
    h->schema_hash = FEAGI_SCHEMA_HASH;
    h->region_len = r->len_bytes;
    h->boot_id = boot_id ? boot_id : 1;
    put_section(h, FEAGI_SECTION_CORE, FEAGI_HEADER_LEN_BYTES, 1, sizeof(feagi_core_t));
    put_section(h, FEAGI_SECTION_AGENTS, r->agents_at, r->agents, r->agent_len);
    put_section(h, FEAGI_SECTION_EVENTS, r->events_at, r->events_mask + 1, sizeof(feagi_event_t));
    feagi_port_store_u32(&h->magic, FEAGI_MAGIC_REGION); // last: until then there is no region
    return 0;
}

int feagi_region_attach(feagi_region_t *r, void *mem, uint32_t len_bytes) {
    if ((uintptr_t)mem % 8 || len_bytes < FEAGI_HEADER_LEN_BYTES) {
        return FEAGI_ERR_LENGTH;
    }
    // From a copy, since another process may change the block between a check and a use of what was checked.
    feagi_header_t h;
    feagi_port_copy(&h, mem, sizeof h);
    const feagi_section_t *core = &h.sections[FEAGI_SECTION_CORE];
    const feagi_section_t *agents = &h.sections[FEAGI_SECTION_AGENTS];
    const feagi_section_t *events = &h.sections[FEAGI_SECTION_EVENTS];
    if (h.magic != FEAGI_MAGIC_REGION || h.layout_version != FEAGI_LAYOUT_VERSION || h.schema_hash != FEAGI_SCHEMA_HASH) {
        return FEAGI_ERR_LAYOUT;
    }
    // The offsets follow from the capacities; a header that says otherwise is not believed.
    r->len_bytes = lay_out(r, agents->capacity, agents->entry_len, events->capacity);
    if (!r->len_bytes || h.region_len != r->len_bytes || core->offset != FEAGI_HEADER_LEN_BYTES ||
        agents->offset != r->agents_at || events->offset != r->events_at || events->entry_len != sizeof(feagi_event_t)) {
        return FEAGI_ERR_LAYOUT;
    }
    if (len_bytes < r->len_bytes) {
        return FEAGI_ERR_LENGTH;
    }
    r->base = (uint8_t *)mem;
    return 0;
}

void feagi_region_track(feagi_region_t *r, uint32_t *dirty) {
    r->dirty = dirty;
}

void feagi_region_set_time(feagi_region_t *r, uint64_t now_ms) {
    feagi_port_store_u64(&r->now_ms, now_ms);
}

uint32_t feagi_region_page(const feagi_region_t *r, uint32_t page, uint32_t *len_bytes) {
    if (page == 0) {
        *len_bytes = FEAGI_HEADER_LEN_BYTES;
        return 0;
    }
    if (page < FIRST_AGENT_PAGE) {
        *len_bytes = (uint32_t)(core_pages[page] - core_pages[page - 1]);
        return FEAGI_HEADER_LEN_BYTES + core_pages[page - 1];
    }
    uint32_t slot = (page - FIRST_AGENT_PAGE) / r->agent_pages;
    uint32_t start = (page - FIRST_AGENT_PAGE) % r->agent_pages * FEAGI_PAGE_LEN_BYTES;
    uint32_t rest = r->agent_len - start;
    *len_bytes = rest < FEAGI_PAGE_LEN_BYTES ? rest : FEAGI_PAGE_LEN_BYTES;
    return r->agents_at + slot * r->agent_len + start;
}

int feagi_region_page_of(const feagi_region_t *r, uint32_t offset) {
    if (offset < FEAGI_HEADER_LEN_BYTES) {
        return 0;
    }
    if (offset < FEAGI_HEADER_LEN_BYTES + sizeof(feagi_core_t)) {
        int page = 1;
        while (offset - FEAGI_HEADER_LEN_BYTES >= core_pages[page]) {
            page++;
        }
        return page;
    }
    uint32_t at = offset - r->agents_at;
    if (offset < r->agents_at || at >= (uint32_t)r->agents * r->agent_len) {
        return -1;
    }
    return (int)(FIRST_AGENT_PAGE + at / r->agent_len * r->agent_pages + at % r->agent_len / FEAGI_PAGE_LEN_BYTES);
}

uint32_t feagi_region_digest(const feagi_region_t *r) {
    uint32_t crc = 0;
    for (uint32_t page = 0; page < r->pages; page++) {
        uint32_t len_bytes;
        uint32_t at = feagi_region_page(r, page, &len_bytes);
        crc = feagi_crc_update(crc, r->base + at, len_bytes);
    }
    return crc;
}
