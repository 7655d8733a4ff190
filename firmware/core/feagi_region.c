#include "feagi_region.h"

#include "feagi_crc.h"

static const uint16_t core_pages[FEAGI_CORE_PAGES + 1] = FEAGI_CORE_PAGE_OFFSETS;

// The header's page, the core block's and the hashes' come before the agents'.
#define HASHES_PAGE (1u + FEAGI_CORE_PAGES)
#define FIRST_AGENT_PAGE (HASHES_PAGE + 1u)

static uint32_t aligned(uint32_t offset) {
    return (offset + FEAGI_SECTION_ALIGN_BYTES - 1) & ~(FEAGI_SECTION_ALIGN_BYTES - 1);
}

// Pages of so many bytes in a row.
static uint32_t pages_of(uint32_t len_bytes) {
    return (len_bytes + FEAGI_PAGE_LEN_BYTES - 1) / FEAGI_PAGE_LEN_BYTES;
}

static uint32_t end_of(const feagi_place_t *place) {
    return place->at + (uint32_t)place->capacity * place->entry_len;
}

// Puts a section behind what ends at `end`. Sections are below 2^26 bytes but for agents with absurd metadata, so a sum of them
// cannot wrap; lay_out refuses those.
static uint32_t put(feagi_place_t *place, uint32_t end, uint32_t head_len, uint16_t capacity, size_t entry_len) {
    place->at = aligned(end) + head_len;
    place->capacity = capacity;
    place->entry_len = (uint16_t)entry_len;
    return end_of(place);
}

// The sections behind the agents that are cut into pages as a whole, in their order. Returns the section's offset, with
// *len_bytes.
static uint32_t block(const feagi_region_t *r, unsigned index, uint32_t *len_bytes) {
    const feagi_place_t *place = index == 0 ? &r->locks : index == 1 ? &r->windows : &r->stats;
    uint32_t at = place->at - (index == 1 ? (uint32_t)sizeof(feagi_windows_t) : 0);
    *len_bytes = end_of(place) - at;
    return at;
}
#define BLOCKS 3u

// A place in a table is a hash cut to its lowest bits: not every target divides.
static bool is_power_of_two(uint32_t capacity) {
    return capacity && !(capacity & (capacity - 1));
}

// Fills the handle with the layout that these capacities give: the one place that knows how sections follow each other.
// Returns the region's length, or 0 if a capacity cannot be.
static uint32_t lay_out(feagi_region_t *r, const feagi_profile_t *p) {
    uint32_t agent_len = (uint32_t)sizeof(feagi_agent_t) + p->agent_metadata_len_bytes;
    if (agent_len > 4096 || agent_len % 8 || !is_power_of_two(p->agents) || !is_power_of_two(p->cortical_locks) ||
        !is_power_of_two(p->fcl_windows) || !is_power_of_two(p->area_stats) || !is_power_of_two(p->events)) {
        return 0;
    }
    r->dirty = NULL;
#if FEAGI_PORT_SHARED
    r->share = NULL;
    r->gate = NULL;
    r->cached_clock = true;
#endif
    r->now_ms = r->epoch_ms = 0;
    uint32_t end = put(&r->agents, FEAGI_HASHES_AT + (uint32_t)sizeof(feagi_hashes_t), 0, p->agents, agent_len);
    end = put(&r->locks, end, 0, p->cortical_locks, sizeof(feagi_lock_t));
    end = put(&r->windows, end, sizeof(feagi_windows_t), p->fcl_windows, sizeof(feagi_window_t));
    end = put(&r->stats, end, 0, p->area_stats, sizeof(feagi_stat_t));
    uint32_t pages = FIRST_AGENT_PAGE + p->agents * pages_of(agent_len);
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint32_t len_bytes;
        (void)block(r, i, &len_bytes);
        pages += pages_of(len_bytes);
    }
    if (pages > UINT16_MAX) {
        return 0;
    }
    r->pages = (uint16_t)pages;
    r->events_at = aligned(end);
    r->events_mask = p->events - 1u;
    return r->events_at + (uint32_t)sizeof(feagi_ring_t) + p->events * (uint32_t)sizeof(feagi_event_t);
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
    return lay_out(&r, profile);
}

// What the section table says of the sections, from the handle's layout.
static void fill_table(const feagi_region_t *r, feagi_section_t table[FEAGI_SECTION_SLOTS]) {
    const struct {
        uint32_t at;
        uint16_t capacity, entry_len, number;
    } rows[] = {
        {FEAGI_HEADER_LEN_BYTES, 1, sizeof(feagi_core_t), FEAGI_SECTION_CORE},
        {FEAGI_HASHES_AT, 1, sizeof(feagi_hashes_t), FEAGI_SECTION_HASHES},
        {r->agents.at, r->agents.capacity, r->agents.entry_len, FEAGI_SECTION_AGENTS},
        {r->locks.at, r->locks.capacity, r->locks.entry_len, FEAGI_SECTION_CORTICAL_LOCKS},
        {r->windows.at - (uint32_t)sizeof(feagi_windows_t), r->windows.capacity, r->windows.entry_len, FEAGI_SECTION_FCL_WINDOWS},
        {r->stats.at, r->stats.capacity, r->stats.entry_len, FEAGI_SECTION_AREA_STATS},
        {r->events_at, (uint16_t)(r->events_mask + 1), sizeof(feagi_event_t), FEAGI_SECTION_EVENTS},
    };
    feagi_port_clear(table, FEAGI_SECTION_SLOTS * sizeof *table);
    for (unsigned i = 0; i < sizeof rows / sizeof *rows; i++) {
        feagi_section_t *s = &table[rows[i].number];
        s->offset = rows[i].at;
        s->capacity = rows[i].capacity;
        s->entry_len = rows[i].entry_len;
    }
}

int feagi_region_init(feagi_region_t *r, void *mem, uint32_t len_bytes, uint8_t profile, uint32_t boot_id) {
    const feagi_profile_t *p = feagi_region_profile(profile);
    if (!p) {
        return FEAGI_ERR_LAYOUT;
    }
    r->len_bytes = lay_out(r, p);
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
    fill_table(r, h->sections);
    ((feagi_windows_t *)(void *)(r->base + r->windows.at) - 1)->default_window = FEAGI_FCL_WINDOW_DEFAULT;
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
    if (h.magic != FEAGI_MAGIC_REGION || h.layout_version != FEAGI_LAYOUT_VERSION || h.schema_hash != FEAGI_SCHEMA_HASH) {
        return FEAGI_ERR_LAYOUT;
    }
    const feagi_section_t *agents = &h.sections[FEAGI_SECTION_AGENTS];
    if (agents->entry_len < sizeof(feagi_agent_t)) {
        return FEAGI_ERR_LAYOUT;
    }
    feagi_profile_t p;
    p.agents = agents->capacity;
    p.agent_metadata_len_bytes = (uint16_t)(agents->entry_len - sizeof(feagi_agent_t));
    p.cortical_locks = h.sections[FEAGI_SECTION_CORTICAL_LOCKS].capacity;
    p.fcl_windows = h.sections[FEAGI_SECTION_FCL_WINDOWS].capacity;
    p.area_stats = h.sections[FEAGI_SECTION_AREA_STATS].capacity;
    p.events = h.sections[FEAGI_SECTION_EVENTS].capacity;
    p.id = h.profile;
    r->len_bytes = lay_out(r, &p);
    if (!r->len_bytes || h.region_len != r->len_bytes) {
        return FEAGI_ERR_LAYOUT;
    }
    // Offsets and lengths follow from the capacities; a table that says otherwise is not believed.
    feagi_section_t table[FEAGI_SECTION_SLOTS];
    fill_table(r, table);
    if (!feagi_port_equal(table, h.sections, sizeof table)) {
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

void feagi_region_set_time(feagi_region_t *r, uint64_t uptime_ms) {
    const uint64_t now_ms = uptime_ms + r->epoch_ms;
    // A clock that hosts lead. A difference below 0 is a large one.
    if (!r->epoch_ms || r->now_ms - now_ms > FEAGI_CLOCK_STEP_MS) {
        feagi_port_store_u64(&r->now_ms, now_ms);
    }
}

uint32_t feagi_region_page(const feagi_region_t *r, uint32_t page, uint32_t *len_bytes) {
    if (page == 0) {
        *len_bytes = FEAGI_HEADER_LEN_BYTES;
        return 0;
    }
    if (page < HASHES_PAGE) {
        *len_bytes = (uint32_t)(core_pages[page] - core_pages[page - 1]);
        return FEAGI_HEADER_LEN_BYTES + core_pages[page - 1];
    }
    if (page == HASHES_PAGE) {
        *len_bytes = sizeof(feagi_hashes_t);
        return FEAGI_HASHES_AT;
    }
    page -= FIRST_AGENT_PAGE;
    uint32_t at = 0, rest = 0;
    const uint32_t agent_pages = pages_of(r->agents.entry_len);
    if (page < r->agents.capacity * agent_pages) {
        at = r->agents.at + feagi_port_divide(page, agent_pages, &page) * r->agents.entry_len;
        rest = r->agents.entry_len;
    } else {
        page -= r->agents.capacity * agent_pages;
        for (unsigned i = 0; i < BLOCKS; i++) {
            at = block(r, i, &rest);
            if (page < pages_of(rest)) {
                break;
            }
            page -= pages_of(rest);
        }
    }
    at += page * FEAGI_PAGE_LEN_BYTES;
    rest -= page * FEAGI_PAGE_LEN_BYTES;
    *len_bytes = rest < FEAGI_PAGE_LEN_BYTES ? rest : FEAGI_PAGE_LEN_BYTES;
    return at;
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
    if (offset - FEAGI_HASHES_AT < sizeof(feagi_hashes_t)) {
        return (int)HASHES_PAGE;
    }
    const uint32_t agent_pages = pages_of(r->agents.entry_len);
    uint32_t at = offset - r->agents.at;
    if (offset >= r->agents.at && offset < end_of(&r->agents)) {
        const uint32_t slot = feagi_port_divide(at, r->agents.entry_len, &at);
        return (int)(FIRST_AGENT_PAGE + slot * agent_pages + at / FEAGI_PAGE_LEN_BYTES);
    }
    uint32_t page = FIRST_AGENT_PAGE + r->agents.capacity * agent_pages;
    for (unsigned i = 0; i < BLOCKS; i++) {
        uint32_t len_bytes;
        at = offset - block(r, i, &len_bytes); // wraps to a large number in front of the section
        if (at < len_bytes) {
            return (int)(page + at / FEAGI_PAGE_LEN_BYTES);
        }
        page += pages_of(len_bytes);
    }
    return -1;
}

void feagi_region_mark_bytes(const feagi_region_t *r, uint32_t offset, uint32_t len_bytes) {
    if (!r->dirty) {
        return;
    }
    const uint32_t end = offset + len_bytes;
    while (offset < end) {
        uint32_t page_len;
        const uint32_t page = (uint32_t)feagi_region_page_of(r, offset);
        const uint32_t start = feagi_region_page(r, page, &page_len);
        const uint32_t stop = end < start + page_len ? end : start + page_len;
        // Words from `first` to `last`, both included: neither shift is by 32.
        const uint32_t first = (offset - start) / 4, last = (stop - 1 - start) / 4;
        feagi_region_mark(r, page, (UINT32_MAX << first) & (UINT32_MAX >> (31 - last)));
        offset = stop;
    }
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
