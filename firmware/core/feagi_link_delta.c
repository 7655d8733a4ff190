// Pages of the region as deltas: what changed, what is in flight, what must go again.
#include "feagi_link_internal.h"

#include "feagi_state.h"

static uint32_t version_of(const feagi_link_t *l) {
    return feagi_state_load_u32(l->region, offsetof(feagi_core_t, version)); // the low half
}

// The last word of `dirty`, behind those of the region: it is marked for ever, so that looking for marks ends there.
static uint32_t *guard_of(const feagi_region_t *r) {
    return r->dirty + feagi_region_dirty_words(r) - 1;
}

// The first word that has marks, behind this one.
static __attribute__((noinline)) const uint32_t *next_marks(const uint32_t *dirty) {
    while (!feagi_port_load_u32(++dirty)) {
    }
    return dirty;
}

void feagi_link_clear_marks(feagi_link_t *l) {
    const feagi_region_t *r = l->region;
    feagi_port_clear(r->dirty, feagi_region_dirty_words(r) * sizeof *r->dirty);
    *guard_of(r) = UINT32_MAX;
}

bool feagi_link_all_sent(const feagi_link_t *l) {
    const feagi_region_t *r = l->region;
    return version_of(l) == l->clock_sent && !feagi_port_load_u32(r->dirty) && next_marks(r->dirty) == guard_of(r);
}

void feagi_link_start_deltas(feagi_link_t *l) {
    const feagi_region_t *r = l->region;
    l->clock_sent = version_of(l);
    // The host's copy is all zeros: what is zero need not be sent, but one word of each page tells that the page is there. What
    // is written after its mark is gone and before it is looked at marks itself.
    feagi_link_clear_marks(l);
    for (uint32_t page = 0; page < r->pages; page++) {
        uint32_t len_bytes;
        const uint32_t at = feagi_region_page(r, page, &len_bytes);
        for (uint32_t i = 0; i < len_bytes; i += 4) {
            if (i == 0 || feagi_port_load_u32(feagi_region_u32(r, at + i))) {
                feagi_region_mark(r, at + i, 4);
            }
        }
    }
}

void feagi_link_acknowledge(feagi_link_t *l, uint8_t seq) {
    while (l->run.flights && !feagi_link_is_behind(l->flight[0].seq, seq)) {
        l->run.flights--;
        for (unsigned i = 0; i < l->run.flights; i++) {
            feagi_port_copy(&l->flight[i], &l->flight[i + 1], sizeof l->flight[i]);
        }
    }
    l->run.acked = seq;
    l->run.tries = 0;
    l->delta_at = (uint32_t)l->now_ms;
}

void feagi_link_rewind(feagi_link_t *l) {
    for (; l->run.flights; l->run.flights--) {
        for (uint32_t page = 0; page < l->region->pages; page++) {
            if (l->flight[l->run.flights - 1].pages[page / 32] >> page % 32 & 1) {
                uint32_t len_bytes;
                const uint32_t at = feagi_region_page(l->region, page, &len_bytes);
                // More than was lost, never less: the page as the host has it plus these words is the page as it is now.
                feagi_region_mark(l->region, at, len_bytes);
            }
        }
    }
    l->run.repair = true;
    l->run.cautious = 8;
    if ((uint8_t)(l->run.seq - l->run.acked) > FEAGI_LINK_SEQUENCE_GUARD) {
        feagi_link_offer(l, 0); // further, and 8 bits no longer say which of two numbers is the later one
    }
}

// Marks the clock's page when its turn has come: at most every FEAGI_CLOCK_PAGE_MS, at once when somebody waits for a digest.
static void check_clock(feagi_link_t *l) {
    const uint32_t now = (uint32_t)l->now_ms, version = version_of(l);
    if (version == l->clock_sent) {
        return;
    }
    if (!l->run.clock_waiting) {
        l->run.clock_waiting = true;
        l->clock_at = now;
    }
    if (l->run.digest_due || now - l->clock_at >= FEAGI_CLOCK_PAGE_MS) {
        l->run.clock_waiting = false;
        l->clock_sent = version;
        feagi_region_mark(l->region, FEAGI_HEADER_LEN_BYTES + (uint32_t)offsetof(feagi_core_t, version), 16);
    }
}
_Static_assert(offsetof(feagi_core_t, last_modified) == offsetof(feagi_core_t, version) + 8, "the clock's page is these two");

// Appends the runs of `words`, one of which is the first, to which `copy` belongs and which is word `index` behind the header.
static void put_runs(feagi_frame_out_t *out, int index, uint32_t words, const uint32_t *copy) {
    while (words) {
        uint32_t count = 0;
        for (; words & 1; words >>= 1) {
            count++;
        }
        // The last word's zero bytes at the end need not be sent, but one byte must be: it says that the word is there.
        const uint8_t *bytes = (const uint8_t *)copy;
        uint32_t len_bytes = 4 * count;
        while (len_bytes > 4 * count - 3 && bytes[len_bytes - 1] == 0) {
            len_bytes--;
        }
        feagi_frame_put_int(out, index);
        feagi_frame_put_bytes(out, bytes, len_bytes);
        for (; words && !(words & 1); words >>= 1) {
            count++;
        }
        index += (int)count;
        copy += count;
    }
}

// Appends all dirty words of the page at `at`, which has one, as they are at one instant, or none if they do not fit: then false,
// and they stay dirty.
static bool put_page(const feagi_region_t *r, feagi_frame_out_t *out, uint32_t at, uint32_t len_bytes) {
    uint32_t copy[FEAGI_PAGE_LEN_BYTES / 4];
    // The page's marks lie in two words, from some bit on.
    uint32_t *dirty = r->dirty + at / 128;
    const uint32_t bit = at / 4 % 32, *from = feagi_region_u32(r, at);
    // Words and marks are taken together: a later write marks again, an earlier one is in the copy. At most 32 words: how
    // many instructions, the port's header says.
    feagi_port_key_t key = feagi_port_lock();
    const uint32_t words = (dirty[0] >> bit | dirty[1] << 1 << (31 - bit)) & UINT32_MAX >> (32 - len_bytes / 4);
    dirty[0] &= ~(words << bit);
    dirty[1] &= ~(words >> 1 >> (31 - bit));
    const unsigned first = feagi_port_first_bit(words);
    uint32_t *to = copy, left = words >> first;
    from += first;
    do {
        *to++ = *from++;
        left >>= 1;
    } while (left);
    feagi_port_unlock(key);
    const size_t before = out->len;
    put_runs(out, (int32_t)(at - FEAGI_HEADER_LEN_BYTES) / 4 + (int)first, words >> first, copy);
    if (out->full) {
        out->len = before; // never half a page
        key = feagi_port_lock();
        dirty[0] |= words << bit;
        dirty[1] |= words >> 1 >> (31 - bit);
        feagi_port_unlock(key);
        return false;
    }
    return true;
}

static void start_delta(feagi_link_t *l, feagi_frame_out_t *out, feagi_link_flight_t *flight) {
    for (unsigned i = 0; i < FEAGI_LINK_PAGE_WORDS; i++) {
        flight->pages[i] = 0;
    }
    flight->seq = (uint8_t)(l->run.seq + 1);
    feagi_link_start(l, out, l->run.repair ? FEAGI_KIND_REPAIR : FEAGI_KIND_DELTA, flight->seq);
    if (l->run.repair) {
        feagi_frame_put_uint(out, l->run.acked);
    }
}

// Starts a delta and appends the dirty pages that fit, from run.next_at to the region's end, or from its beginning if there are
// none. Returns whether there is one.
static bool put_pages(feagi_link_t *l, feagi_frame_out_t *out, feagi_link_flight_t *flight) {
    const feagi_region_t *r = l->region;
    uint32_t at = l->run.next_at, len_bytes;
    bool any = false;
    for (;;) {
        const uint32_t *dirty = r->dirty + at / 128;
        uint32_t marks = feagi_port_load_u32(dirty) & UINT32_MAX << at / 4 % 32;
        if (!marks) {
            dirty = next_marks(dirty);
            marks = feagi_port_load_u32(dirty);
        }
        at = (uint32_t)(dirty - r->dirty) * 128;
        if (at > r->events_at) { // the guard's
            at = l->run.next_at;
            l->run.next_at = 0;
            if (any || at == 0) {
                return any;
            }
            at = 0;
            continue;
        }
        at += 4 * feagi_port_first_bit(marks);
        const uint32_t page = (uint32_t)feagi_region_page_of(r, at);
        at = feagi_region_page(r, page, &len_bytes);
        if (!any) {
            start_delta(l, out, flight);
        }
        const bool fits = put_page(r, out, at, len_bytes);
        if (fits) {
            any = true;
            flight->pages[page / 32] |= 1u << page % 32;
            at += len_bytes;
        }
        if (!fits || l->run.cautious) {
            l->run.next_at = (uint16_t)at; // the next delta begins with it
            return any;
        }
    }
}

bool feagi_link_make_delta(feagi_link_t *l, feagi_frame_out_t *out) {
    check_clock(l);
    feagi_link_flight_t *flight = &l->flight[l->run.flights];
    if (l->run.flights >= (l->run.cautious ? 1 : l->run.window) || !put_pages(l, out, flight)) {
        return false;
    }
    if (!l->run.flights) {
        l->delta_at = (uint32_t)l->now_ms;
    }
    l->run.seq = flight->seq;
    l->run.flights++;
    l->run.cautious = (uint8_t)(l->run.cautious - (l->run.cautious != 0));
    l->run.repair = false;
    return true;
}
