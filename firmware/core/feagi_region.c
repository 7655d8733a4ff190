#include "feagi_region.h"

#include "feagi_crc.h"

// The header's page, the core block's and the hashes' come before the agents'.
static const uint16_t first_pages[FEAGI_FIRST_PAGES + 1] = FEAGI_FIRST_PAGE_OFFSETS;

// Of the tables: what lies in front of their entries, and these, but for the agents' metadata.
static const struct {
    uint8_t head_len, entry_len;
} shapes[FEAGI_TABLES] = {
    {0, sizeof(feagi_agent_t)},
    {0, sizeof(feagi_lock_t)},
    {sizeof(feagi_windows_t), sizeof(feagi_window_t)},
    {0, sizeof(feagi_stat_t)},
    {sizeof(feagi_ring_t), sizeof(feagi_event_t)},
};

// Pages of so many bytes in a row.
static uint32_t pages_of(uint32_t len_bytes) {
    return (len_bytes + FEAGI_PAGE_LEN_BYTES - 1) / FEAGI_PAGE_LEN_BYTES;
}

// A table as blocks that are cut into pages: one, or where it is the agents', each entry. Returns the length of a block.
static uint32_t blocks_of(const feagi_region_t *r, unsigned table, uint32_t *at, uint32_t *count) {
    const feagi_place_t *place = &r->tables[table];
    *at = place->at - shapes[table].head_len;
    *count = table == 0 ? place->capacity : 1;
    return table == 0 ? place->entry_len : shapes[table].head_len + (uint32_t)place->capacity * place->entry_len;
}

// Fills the handle with the layout that these capacities give: the one place that knows how sections follow each other. Sections
// are below 2^28 bytes, so a sum of them cannot wrap. Returns the region's length.
static uint32_t lay_out(feagi_region_t *r, const feagi_profile_t *p) {
    feagi_port_clear(r, sizeof *r);
#if FEAGI_PORT_SHARED
    r->cached_clock = true;
#endif
    uint32_t end = FEAGI_HASHES_AT + (uint32_t)sizeof(feagi_hashes_t), pages = FEAGI_FIRST_PAGES;
    for (unsigned i = 0; i < FEAGI_TABLES; i++) {
        feagi_place_t *place = &r->tables[i];
        r->events_at = (end + FEAGI_SECTION_ALIGN_BYTES - 1) & ~(FEAGI_SECTION_ALIGN_BYTES - 1); // the last table's, in the end
        r->pages = pages;
        place->at = r->events_at + shapes[i].head_len;
        place->capacity = p->capacities[i];
        place->entry_len = (uint16_t)(shapes[i].entry_len + (i == 0 ? p->agent_metadata_len_bytes : 0));
        uint32_t count;
        pages += pages_of(blocks_of(r, i, &end, &count)) * count;
        end = place->at + (uint32_t)place->capacity * place->entry_len;
    }
    r->events_mask = r->events.capacity - 1u;
    return end;
}

const feagi_profile_t *feagi_region_profile(uint8_t id) {
    return id - 1u < FEAGI_PROFILES ? &feagi_profiles[id - 1u] : NULL;
}

uint32_t feagi_region_len(const feagi_profile_t *profile) {
    feagi_region_t r;
    return lay_out(&r, profile);
}

// What the section table says of the sections, from the handle's layout.
static void fill_table(const feagi_region_t *r, feagi_section_t table[FEAGI_SECTION_SLOTS]) {
    feagi_port_clear(table, FEAGI_SECTION_SLOTS * sizeof *table);
    feagi_section_t *section = table;
    section->offset = FEAGI_HEADER_LEN_BYTES;
    section->capacity = 1;
    section->entry_len = sizeof(feagi_core_t);
    section++;
    section->offset = FEAGI_HASHES_AT;
    section->capacity = 1;
    section->entry_len = sizeof(feagi_hashes_t);
    for (unsigned i = 0; i < FEAGI_TABLES; i++) {
        section++;
        section->offset = r->tables[i].at - shapes[i].head_len;
        section->capacity = r->tables[i].capacity;
        section->entry_len = r->tables[i].entry_len;
    }
}
_Static_assert(FEAGI_SECTION_CORE == 0 && FEAGI_SECTION_HASHES == 1 && FEAGI_SECTION_AGENTS == 2 &&
                   FEAGI_SECTION_EVENTS + 1 == FEAGI_SECTION_AGENTS + FEAGI_TABLES,
               "sections come in the order of their numbers");

int feagi_region_init(feagi_region_t *r, void *mem, uint32_t len_bytes, uint8_t profile, uint32_t boot_id) {
    const feagi_profile_t *p = feagi_region_profile(profile);
    if (!p) {
        return FEAGI_ERR_LAYOUT;
    }
    const uint32_t needed = lay_out(r, p);
    if ((uintptr_t)mem % 8 || len_bytes < needed) {
        return FEAGI_ERR_LENGTH;
    }
    r->len_bytes = needed;
    r->base = (uint8_t *)mem;
    feagi_port_clear(mem, needed);
    feagi_header_t *h = (feagi_header_t *)mem;
    h->layout_version = FEAGI_LAYOUT_VERSION;
    h->profile = profile;
    h->section_count = FEAGI_SECTION_EVENTS + 1;
    h->schema_hash = FEAGI_SCHEMA_HASH;
    h->region_len = needed;
    h->boot_id = boot_id ? boot_id : 1;
    fill_table(r, h->sections);
    ((feagi_windows_t *)(void *)(r->base + r->windows.at) - 1)->default_window = FEAGI_FCL_WINDOW_DEFAULT;
    feagi_port_store_u32(&h->magic, FEAGI_MAGIC_REGION); // last: until then there is no region
    return 0;
}

// A place in a table is a hash cut to its lowest bits: not every target divides.
static bool is_power_of_two(uint32_t capacity) {
    return capacity && !(capacity & (capacity - 1));
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
    feagi_profile_t p;
    for (unsigned i = 0; i < FEAGI_TABLES; i++) {
        p.capacities[i] = h.sections[FEAGI_SECTION_AGENTS + i].capacity;
        if (!is_power_of_two(p.capacities[i])) {
            return FEAGI_ERR_LAYOUT;
        }
    }
    const uint32_t agent_len = h.sections[FEAGI_SECTION_AGENTS].entry_len;
    if (agent_len < sizeof(feagi_agent_t) || agent_len > 4096 || agent_len % 8) {
        return FEAGI_ERR_LAYOUT;
    }
    p.agent_metadata_len_bytes = (uint16_t)(agent_len - sizeof(feagi_agent_t));
    r->len_bytes = lay_out(r, &p);
    if (h.region_len != r->len_bytes) {
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

FEAGI_PORT_ONCE void feagi_region_set_time(feagi_region_t *r, uint64_t uptime_ms) {
    const uint64_t now_ms = uptime_ms + r->epoch_ms;
    // A clock that hosts lead. A difference below 0 is a large one.
    if (!r->epoch_ms || r->now_ms - now_ms > FEAGI_CLOCK_STEP_MS) {
        feagi_port_store_u64(&r->now_ms, now_ms);
    }
}

uint32_t feagi_region_page(const feagi_region_t *r, uint32_t page, uint32_t *len_bytes) {
    if (page < FEAGI_FIRST_PAGES) {
        *len_bytes = (uint32_t)(first_pages[page + 1] - first_pages[page]);
        return first_pages[page];
    }
    page -= FEAGI_FIRST_PAGES;
    for (unsigned table = 0;; table++) {
        uint32_t at, count;
        const uint32_t len = blocks_of(r, table, &at, &count), pages = pages_of(len);
        if (page < pages * count) {
            at += feagi_port_divide(page, pages, &page) * len;
            const uint32_t in_block = page * FEAGI_PAGE_LEN_BYTES, rest = len - in_block;
            *len_bytes = rest < FEAGI_PAGE_LEN_BYTES ? rest : FEAGI_PAGE_LEN_BYTES;
            return at + in_block;
        }
        page -= pages * count;
    }
}

int feagi_region_page_of(const feagi_region_t *r, uint32_t offset) {
    uint32_t page = 0;
    if (offset < first_pages[FEAGI_FIRST_PAGES]) {
        while (offset >= first_pages[page + 1]) {
            page++;
        }
        return (int)page;
    }
    page = FEAGI_FIRST_PAGES;
    for (unsigned table = 0; page < r->pages; table++) {
        uint32_t at, count;
        const uint32_t len = blocks_of(r, table, &at, &count), pages = pages_of(len);
        if (offset - at < len * count) { // wraps to a large number in front of the table
            page += feagi_port_divide(offset - at, len, &offset) * pages;
            return (int)(page + offset / FEAGI_PAGE_LEN_BYTES);
        }
        page += pages * count;
    }
    return -1;
}

void feagi_region_mark(const feagi_region_t *r, uint32_t offset, uint32_t len_bytes) {
    if (!r->dirty) {
        return;
    }
    for (uint32_t at = offset & ~3u; at < offset + len_bytes; at += 4) {
        const feagi_port_key_t key = feagi_port_lock();
        r->dirty[at / 128] |= 1u << at / 4 % 32;
        feagi_port_unlock(key);
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
