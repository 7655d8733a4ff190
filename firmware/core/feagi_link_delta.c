// Pages of the region as deltas: what changed, what is in flight, what must go again.
#include "feagi_link_internal.h"

#include "feagi_state.h"

static uint32_t all_words(uint32_t len_bytes) {
    return len_bytes == FEAGI_PAGE_LEN_BYTES ? UINT32_MAX : (1u << len_bytes / 4) - 1;
}

static uint32_t version_of(const feagi_link_t *l) {
    return (uint32_t)feagi_state_get(l->region, FEAGI_FIELD_VERSION);
}

void feagi_link_start_deltas(feagi_link_t *l) {
    l->seq = l->acked = 0;
    l->flights = l->tries = l->cautious = 0;
    l->repair = l->clock_waiting = false;
    l->next_page = 0;
    l->clock_sent = version_of(l);
    // The host's copy is all zeros: what is zero need not be sent, but one word of each page tells that the page is there.
    for (uint32_t page = 0; page < l->region->pages; page++) {
        uint32_t len_bytes;
        uint32_t at = feagi_region_page(l->region, page, &len_bytes);
        uint32_t words = 1;
        (void)feagi_port_take_u32(&l->region->dirty[page]); // before the words are read: what is written later marks itself
        for (uint32_t i = 0; i < len_bytes / 4; i++) {
            if (feagi_port_load_u32(feagi_region_u32(l->region, at + 4 * i))) {
                words |= 1u << i;
            }
        }
        feagi_region_mark(l->region, page, words);
    }
}

void feagi_link_acknowledge(feagi_link_t *l, uint8_t seq) {
    uint8_t done = 0;
    while (done < l->flights && (uint8_t)(seq - l->flight[done].seq) < 128) {
        done++;
    }
    l->flights = (uint8_t)(l->flights - done);
    for (uint8_t i = 0; i < l->flights; i++) {
        feagi_port_copy(&l->flight[i], &l->flight[i + done], sizeof l->flight[i]);
    }
    l->acked = seq;
    l->tries = 0;
    l->delta_at = (uint32_t)l->now_ms;
}

void feagi_link_rewind(feagi_link_t *l) {
    for (uint8_t i = 0; i < l->flights; i++) {
        for (uint32_t page = 0; page < l->region->pages; page++) {
            if (l->flight[i].pages[page / 32] >> page % 32 & 1) {
                uint32_t len_bytes;
                (void)feagi_region_page(l->region, page, &len_bytes);
                // More than was lost, never less: the page as the host has it plus these words is the page as it is now.
                feagi_region_mark(l->region, page, all_words(len_bytes));
            }
        }
    }
    l->flights = 0;
    l->repair = true;
    l->cautious = 8;
    if ((uint8_t)(l->seq - l->acked) > FEAGI_LINK_SEQUENCE_GUARD) {
        feagi_link_offer(l, 0); // further, and 8 bits no longer say which of two numbers is the later one
    }
}

// Marks the clock's page when its turn has come: at most every FEAGI_CLOCK_PAGE_MS, at once when somebody waits for a digest.
static void check_clock(feagi_link_t *l, uint32_t now) {
    uint32_t version = version_of(l);
    if (version == l->clock_sent) {
        return;
    }
    if (!l->clock_waiting) {
        l->clock_waiting = true;
        l->clock_at = now;
    }
    if (l->digest_due || now - l->clock_at >= FEAGI_CLOCK_PAGE_MS) {
        l->clock_waiting = false;
        l->clock_sent = version;
        feagi_region_mark(l->region, FEAGI_CLOCK_PAGE, 0xf);
    }
}

// Appends the runs of `words` of a page that begins at offset `at` and was copied to `copy`.
static void put_runs(feagi_frame_out_t *out, uint32_t at, uint32_t words, const uint8_t *copy) {
    for (uint32_t i = 0; i < 32 && words >> i; i++) {
        if (!(words >> i & 1)) {
            continue;
        }
        uint32_t first = i;
        while (i < 32 && words >> i & 1) {
            i++;
        }
        // The last word's zero bytes at the end need not be sent, but one byte must be: it says that the word is there.
        uint32_t end = 4 * i;
        while (end > 4 * i - 3 && copy[end - 1] == 0) {
            end--;
        }
        feagi_frame_put_int(out, ((int32_t)at - (int32_t)FEAGI_HEADER_LEN_BYTES) / 4 + (int32_t)first);
        feagi_frame_put_bytes(out, copy + 4 * first, end - 4 * first);
    }
}

// Appends all dirty words of a page, as they are at one instant. Returns false if they do not fit: then they stay dirty.
static bool put_page(feagi_link_t *l, feagi_frame_out_t *out, uint32_t page) {
    uint32_t copy[FEAGI_PAGE_LEN_BYTES / 4];
    uint32_t len_bytes;
    uint32_t at = feagi_region_page(l->region, page, &len_bytes);
    const uint32_t *words_at = feagi_region_u32(l->region, at);
    // Words and marks are taken together: a later write marks again, an earlier one is in the copy. At most 32 words: about
    // 150 instructions.
    feagi_port_key_t key = feagi_port_lock();
    uint32_t words = feagi_port_take_u32(&l->region->dirty[page]);
    for (uint32_t i = 0; i < len_bytes / 4; i++) {
        copy[i] = words_at[i];
    }
    feagi_port_unlock(key);
    size_t before = out->len;
    put_runs(out, at, words, (const uint8_t *)copy);
    if (out->full) {
        out->len = before; // never half a page
        feagi_region_mark(l->region, page, words);
        return false;
    }
    return true;
}

bool feagi_link_make_delta(feagi_link_t *l, uint32_t now) {
    check_clock(l, now);
    if (l->flights >= (l->cautious ? 1 : FEAGI_LINK_WINDOW)) {
        return false;
    }
    feagi_link_flight_t *flight = &l->flight[l->flights];
    feagi_frame_out_t out;
    bool any = false;
    uint32_t page = l->next_page;
    for (uint32_t tries = l->region->pages; tries; tries--) {
        if (feagi_port_load_u32(&l->region->dirty[page])) {
            if (!any) {
                feagi_port_clear(flight, sizeof *flight);
                flight->seq = (uint8_t)(l->seq + 1);
                feagi_frame_start(&out, l->tx, FEAGI_LINK_MTU_BYTES, l->repair ? FEAGI_KIND_REPAIR : FEAGI_KIND_DELTA,
                                  flight->seq);
                if (l->repair) {
                    feagi_frame_put_uint(&out, l->acked);
                }
            }
            if (!put_page(l, &out, page)) {
                break; // the next delta begins with it
            }
            any = true;
            flight->pages[page / 32] |= 1u << page % 32;
            if (l->cautious) {
                tries = 1;
            }
        }
        page = page + 1 == l->region->pages ? 0 : page + 1;
    }
    if (!any) {
        return false;
    }
    l->next_page = (uint16_t)page;
    if (!l->flights) {
        l->delta_at = now;
    }
    l->seq = flight->seq;
    l->flights++;
    l->cautious = (uint8_t)(l->cautious ? l->cautious - 1 : 0);
    l->repair = false;
    l->tx_len = (uint16_t)feagi_frame_finish(&out, l->session);
    return true;
}

bool feagi_link_all_sent(feagi_link_t *l) {
    if (version_of(l) != l->clock_sent) {
        return false;
    }
    for (uint32_t page = 0; page < l->region->pages; page++) {
        if (feagi_port_load_u32(&l->region->dirty[page])) {
            return false;
        }
    }
    return true;
}
