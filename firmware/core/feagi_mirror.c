#include "feagi_mirror.h"

#include "feagi_events.h"

#define TRAILER_LEN ((uint32_t)sizeof(feagi_mirror_t))
#define SEQUENCES_LEN ((uint32_t)(FEAGI_MIRROR_PAGES * sizeof(uint32_t)))

// Page offsets and lengths are multiples of 8 (feagi_region_attach sees to the agents', the spec to the others), so a page is
// copied in 64-bit pairs and a u64 field is never torn.
#define PAIR 8u

static uint64_t *pair_at(uint8_t *base, uint32_t offset) {
    return (uint64_t *)(void *)(base + offset);
}

uint32_t feagi_mirror_len(uint32_t region_len_bytes) {
    const uint32_t rest = TRAILER_LEN + SEQUENCES_LEN;
    return region_len_bytes > (UINT32_MAX - rest) / 2 ? 0 : 2 * region_len_bytes + rest;
}

// The handle's other places follow from the region that it has checked.
static int place(feagi_mirror_map_t *m, size_t len_bytes) {
    const uint32_t region_len = m->region.len_bytes;
    const uint32_t needed = feagi_mirror_len(region_len);
    if (!needed || region_len % PAIR || m->region.pages > FEAGI_MIRROR_PAGES) {
        return FEAGI_ERR_LAYOUT;
    }
    if (len_bytes < needed) {
        return FEAGI_ERR_LENGTH;
    }
    m->trailer = (feagi_mirror_t *)(void *)(m->region.base + region_len);
    m->page_sequence = (uint32_t *)(void *)(m->region.base + region_len + TRAILER_LEN);
    m->shadow = m->region.base + region_len + TRAILER_LEN + SEQUENCES_LEN;
    return 0;
}

static uint32_t region_limit(size_t len_bytes) {
    return len_bytes > UINT32_MAX ? UINT32_MAX : (uint32_t)len_bytes;
}

int feagi_mirror_init(feagi_mirror_map_t *m, void *mem, size_t len_bytes, const uint8_t *image, size_t image_len_bytes) {
    if (len_bytes < FEAGI_HEADER_LEN_BYTES || image_len_bytes < FEAGI_HEADER_LEN_BYTES) {
        return FEAGI_ERR_LENGTH;
    }
    feagi_port_copy(mem, image, FEAGI_HEADER_LEN_BYTES);
    int status = feagi_region_attach(&m->region, mem, region_limit(len_bytes));
    if (!status) {
        status = place(m, len_bytes);
    }
    const bool whole = image_len_bytes != FEAGI_HEADER_LEN_BYTES;
    if (!status && whole && image_len_bytes != m->region.len_bytes) {
        status = FEAGI_ERR_LENGTH;
    }
    if (status) {
        feagi_port_clear(mem, FEAGI_HEADER_LEN_BYTES);
        return status;
    }
    feagi_port_clear(m->region.base + FEAGI_HEADER_LEN_BYTES, feagi_mirror_len(m->region.len_bytes) - FEAGI_HEADER_LEN_BYTES);
    if (whole) {
        feagi_port_copy(m->region.base, image, m->region.events_at);
    }
    feagi_port_copy(m->shadow, m->region.base, m->region.events_at);
    m->trailer->mirror_version = FEAGI_MIRROR_VERSION;
    feagi_port_store_u32(&m->trailer->magic, FEAGI_MAGIC_MIRROR); // last: until then there is no mirror
    return 0;
}

int feagi_mirror_attach(feagi_mirror_map_t *m, void *mem, size_t len_bytes) {
    int status = feagi_region_attach(&m->region, mem, region_limit(len_bytes));
    if (!status) {
        status = place(m, len_bytes);
    }
    if (status) {
        return status;
    }
    if (feagi_port_load_u32(&m->trailer->magic) != FEAGI_MAGIC_MIRROR || m->trailer->mirror_version != FEAGI_MIRROR_VERSION) {
        return FEAGI_ERR_LAYOUT;
    }
    return 0;
}

// Single release stores: whoever sees one of them with an acquire load sees the page_sequence that was stored before it.
static void copy_pairs(uint8_t *to, uint8_t *from, uint32_t offset, uint32_t len_bytes) {
    for (uint32_t i = 0; i < len_bytes; i += PAIR) {
        feagi_port_store_u64(pair_at(to, offset + i), feagi_port_load_u64(pair_at(from, offset + i)));
    }
}

void feagi_mirror_take_over(feagi_mirror_map_t *m) {
    for (uint32_t page = 0; page < m->region.pages; page++) {
        uint32_t len_bytes;
        const uint32_t offset = feagi_region_page(&m->region, page, &len_bytes);
        const uint32_t sequence = feagi_port_load_u32(&m->page_sequence[page]);
        if (sequence & 1) {
            // Odd: the shadow is whole and readers read it, so the region's page may be written.
            copy_pairs(m->region.base, m->shadow, offset, len_bytes);
            feagi_port_store_u32(&m->page_sequence[page], sequence + 1);
        } else {
            // Even: the region's page is whole and readers read it, so the shadow may be written.
            copy_pairs(m->shadow, m->region.base, offset, len_bytes);
        }
    }
}

static void count_publication(feagi_mirror_map_t *m) {
    feagi_port_store_u32(&m->trailer->publications, m->trailer->publications + 1);
}

// A header may change its flags and boot id, but not where the sections lie: readers have that in their handles.
static bool header_moves(const feagi_mirror_map_t *m, const uint8_t *bytes) {
    const size_t may_change_from = offsetof(feagi_header_t, boot_id);
    const size_t may_change_to = offsetof(feagi_header_t, reserved);
    return !feagi_port_equal(bytes, m->region.base, may_change_from) ||
           !feagi_port_equal(bytes + may_change_to, m->region.base + may_change_to, FEAGI_HEADER_LEN_BYTES - may_change_to);
}

static void publish(feagi_mirror_map_t *m, uint32_t page, const uint8_t *bytes) {
    uint32_t len_bytes;
    const uint32_t offset = feagi_region_page(&m->region, page, &len_bytes);
    // The owner leaves it even, and take_over made it so.
    const uint32_t sequence = feagi_port_load_u32(&m->page_sequence[page]);

    // From here the shadow is what readers read: it equals the region's page (the end of the last publication).
    feagi_port_store_u32(&m->page_sequence[page], sequence + 1);
    for (uint32_t i = 0; i < len_bytes; i += PAIR) {
        uint64_t pair;
        feagi_port_copy(&pair, bytes + i, PAIR);
        if (pair != *pair_at(m->region.base, offset + i)) {
            // After the odd number in release order: a reader that began with the even one and got this pair finds that the
            // number has changed.
            feagi_port_store_u64(pair_at(m->region.base, offset + i), pair);
        }
    }
    // The region's page is whole: readers read it from here.
    feagi_port_store_u32(&m->page_sequence[page], sequence + 2);
    // After the even number in release order, so that a reader of the old shadow notices in the same way.
    for (uint32_t i = 0; i < len_bytes; i += PAIR) {
        const uint64_t pair = *pair_at(m->region.base, offset + i);
        if (pair != *pair_at(m->shadow, offset + i)) {
            feagi_port_store_u64(pair_at(m->shadow, offset + i), pair);
        }
    }
    count_publication(m);
}

int feagi_mirror_publish(feagi_mirror_map_t *m, uint32_t page, const uint8_t *bytes) {
    if (page >= m->region.pages || (page == 0 && header_moves(m, bytes))) {
        return FEAGI_ERR_LAYOUT;
    }
    publish(m, page, bytes);
    return 0;
}

static uint32_t words_of(const feagi_run_t *run) {
    return (run->len_bytes + 3) / 4;
}

static uint32_t offset_of(const feagi_run_t *run) {
    return (uint32_t)((int32_t)FEAGI_HEADER_LEN_BYTES + run->word * 4);
}

// The page that a run lies in as a whole, or a negative error.
static int page_of(const feagi_mirror_map_t *m, const feagi_run_t *run) {
    if (!run->len_bytes || run->len_bytes > FEAGI_PAGE_LEN_BYTES || run->word < -(int32_t)(FEAGI_HEADER_LEN_BYTES / 4) ||
        run->word > (int32_t)(m->region.events_at / 4)) {
        return FEAGI_ERR_RANGE;
    }
    const int page = feagi_region_page_of(&m->region, offset_of(run));
    if (page < 0) {
        return FEAGI_ERR_RANGE;
    }
    uint32_t len_bytes;
    const uint32_t start = feagi_region_page(&m->region, (uint32_t)page, &len_bytes);
    return offset_of(run) + words_of(run) * 4 > start + len_bytes ? FEAGI_ERR_RANGE : page;
}

static void load_page(const feagi_mirror_map_t *m, uint32_t page, uint8_t *image) {
    uint32_t len_bytes;
    const uint32_t start = feagi_region_page(&m->region, page, &len_bytes);
    feagi_port_copy(image, m->region.base + start, len_bytes);
}

static void overlay(const feagi_mirror_map_t *m, uint32_t page, const feagi_run_t *run, uint8_t *image) {
    uint32_t len_bytes;
    uint8_t *to = image + (offset_of(run) - feagi_region_page(&m->region, page, &len_bytes));
    feagi_port_clear(to, words_of(run) * 4);
    feagi_port_copy(to, run->data, run->len_bytes);
}

// Goes over the runs page by page, and publishes if `write` says so. A pass that writes decides as the one before it did: it
// cannot fail half-way.
static int walk(feagi_mirror_map_t *m, const feagi_run_t *runs, uint32_t count, bool write, uint32_t *touched) {
    uint8_t image[FEAGI_PAGE_LEN_BYTES];
    for (uint32_t i = 0; i < FEAGI_MIRROR_PAGES / 32; i++) {
        touched[i] = 0;
    }
    for (uint32_t i = 0; i < count;) {
        const int page = page_of(m, &runs[i]);
        if (page < 0) {
            return page;
        }
        uint32_t *mask = &touched[(uint32_t)page / 32];
        const uint32_t bit = 1u << ((uint32_t)page % 32);
        if (*mask & bit) {
            return FEAGI_ERR_RANGE; // published in two steps the page would be torn
        }
        *mask |= bit;
        if (write || page == 0) {
            load_page(m, (uint32_t)page, image);
        }
        uint32_t next = offset_of(&runs[i]);
        for (; i < count && page_of(m, &runs[i]) == page; i++) {
            if (offset_of(&runs[i]) < next) {
                return FEAGI_ERR_RANGE;
            }
            next = offset_of(&runs[i]) + words_of(&runs[i]) * 4;
            if (write || page == 0) {
                overlay(m, (uint32_t)page, &runs[i], image);
            }
        }
        if (page == 0 && header_moves(m, image)) {
            return FEAGI_ERR_LAYOUT;
        }
        if (write) {
            publish(m, (uint32_t)page, image);
        }
    }
    return 0;
}

int feagi_mirror_apply(feagi_mirror_map_t *m, const feagi_run_t *runs, uint32_t count,
                       uint32_t touched[FEAGI_MIRROR_PAGES / 32]) {
    const int status = walk(m, runs, count, false, touched);
    return status ? status : walk(m, runs, count, true, touched);
}

// The copy that is whole while the page has this sequence number.
static uint8_t *whole(const feagi_mirror_map_t *m, uint32_t sequence) {
    return sequence & 1 ? m->shadow : m->region.base;
}

bool feagi_mirror_read(const feagi_mirror_map_t *m, uint32_t page, uint8_t *out) {
    uint32_t len_bytes;
    const uint32_t offset = feagi_region_page(&m->region, page, &len_bytes);
    const uint32_t sequence = feagi_port_load_u32(&m->page_sequence[page]);
    uint8_t *from = whole(m, sequence);
    for (uint32_t i = 0; i < len_bytes; i += PAIR) {
        const uint64_t pair = feagi_port_load_u64(pair_at(from, offset + i));
        feagi_port_copy(out + i, &pair, PAIR);
    }
    // The loads above have acquire order, so this one comes after them. The copy that was read is written only after the
    // number changed: unchanged means that every pair is of the same version.
    return feagi_port_load_u32(&m->page_sequence[page]) == sequence;
}

uint32_t feagi_mirror_page_version(const feagi_mirror_map_t *m, uint32_t page) {
    // Odd while the page is being published: readers still get the version before.
    return feagi_port_load_u32(&m->page_sequence[page]) >> 1;
}

uint64_t feagi_mirror_load(const feagi_mirror_map_t *m, uint32_t offset, uint32_t size_bytes) {
    const int page = feagi_region_page_of(&m->region, offset);
    const uint32_t at = offset & ~(PAIR - 1);
    uint64_t pair = 0;
    if (page >= 0) {
        // A plain load of the region would do against tearing. The number is for readers that mix this with
        // feagi_mirror_read: while the page is being published both give the version before it. The number can only differ
        // when the owner made progress within these three loads, so the bound is not reached in practice; it makes the
        // read wait-free whatever the owner does.
        for (uint32_t tries = 0; tries < FEAGI_MIRROR_READ_TRIES; tries++) {
            const uint32_t sequence = feagi_port_load_u32(&m->page_sequence[page]);
            pair = feagi_port_load_u64(pair_at(whole(m, sequence), at));
            if (feagi_port_load_u32(&m->page_sequence[page]) == sequence) {
                break;
            }
        }
    }
    pair >>= 8 * (offset - at);
    return size_bytes < PAIR ? pair & ((1ull << 8 * size_bytes) - 1) : pair;
}

void feagi_mirror_push_event(feagi_mirror_map_t *m, uint16_t kind, uint32_t arg, uint32_t time_ms) {
    feagi_events_broadcast(&m->region, kind, arg, time_ms);
    count_publication(m);
}

uint32_t feagi_mirror_digest(const feagi_mirror_map_t *m) {
    return feagi_region_digest(&m->region);
}
