#include "feagi_link.h"

#include "feagi_events.h"
#include "feagi_link_internal.h"
#include "feagi_text.h"

uint32_t feagi_link_mix(uint32_t a, uint32_t b) {
    a ^= b + 0x9e3779b9u + (a << 6) + (a >> 2);
    a = (a ^ a >> 16) * 0x7feb352du;
    a = (a ^ a >> 15) * 0x846ca68bu;
    return a ^ a >> 16;
}

// Ends the session, if there is one, and offers another.
void feagi_link_offer(feagi_link_t *l, uint32_t nonce) {
    uint32_t before = l->session;
    do {
        l->entropy = feagi_link_mix(l->entropy ^ nonce, (uint32_t)l->now_us);
        l->session = l->entropy;
    } while (l->session == 0 || l->session == before);
    l->up = false;
    l->hello_due = true;
}

int feagi_link_init(feagi_link_t *l, feagi_region_t *region, uint32_t *dirty, const char *name, uint32_t entropy) {
    size_t name_len = 0;
    while (name && name[name_len]) {
        name_len++;
    }
    if (region->pages > FEAGI_LINK_PAGES || name_len > FEAGI_DEVICE_NAME_LEN_BYTES) {
        return FEAGI_ERR_LENGTH;
    }
    if (!feagi_text_valid((const uint8_t *)name, name_len)) {
        return FEAGI_ERR_ENCODING; // no host would take its hello for a frame
    }
    feagi_port_clear(l, sizeof *l);
    l->region = region;
    l->name = name;
    l->entropy = entropy;
    feagi_frame_in_init(&l->in, l->rx, sizeof l->rx);
    feagi_port_clear(dirty, region->pages * sizeof *dirty);
    feagi_region_track(region, dirty);
    feagi_link_offer(l, 0);
    return 0;
}

void feagi_link_tick(feagi_link_t *l, uint64_t now_ms, uint64_t now_us) {
    l->now_ms = now_ms;
    l->now_us = now_us;
    l->fresh = true;
}

static void make_hello(feagi_link_t *l) {
    feagi_frame_out_t out;
    feagi_frame_start(&out, l->tx, FEAGI_LINK_MTU_BYTES, FEAGI_KIND_HELLO, 0);
    feagi_frame_put_uint(&out, FEAGI_PROTOCOL_VERSION);
    feagi_frame_put_uint(&out, FEAGI_SCHEMA_HASH);
    feagi_frame_put_uint(&out, l->session);
    feagi_frame_put_uint(&out, FEAGI_LINK_MTU_BYTES);
    feagi_frame_put_uint(&out, l->region->pages);
    feagi_frame_put_uint(&out, FEAGI_LINK_RXBUF_BYTES);
    feagi_frame_put_uint(&out, l->now_ms);
    if (l->name) {
        uint16_t len = 0;
        while (l->name[len]) {
            len++;
        }
        feagi_frame_put_text(&out, (const uint8_t *)l->name, len);
    }
    l->tx_len = (uint16_t)feagi_frame_finish(&out, 0);
}

// One event: the next one that was not sent, or again the first after a loss.
static bool make_event(feagi_link_t *l) {
    feagi_event_t event;
    if (l->events_flying == FEAGI_LINK_EVENTS_WINDOW || !feagi_events_peek(l->region, l->events_flying, &event)) {
        return false;
    }
    uint8_t seq = (uint8_t)(l->event_seq + l->events_flying + 1);
    bool first_time = (uint8_t)(seq - l->event_top) < 128 && seq != l->event_top;
    if (first_time) {
        l->event_top = seq;
        // The count of rejected events rides on an event that the host cannot have yet, and stays as it is until that one is
        // acknowledged: so the host takes it once.
        uint32_t lost = feagi_events_rejected(l->region) - l->lost_acked;
        if (lost && !l->lost_flying) {
            l->lost_flying = true;
            l->lost_seq = seq;
            l->lost_sent = (uint16_t)(lost < UINT16_MAX ? lost : UINT16_MAX);
        }
    }
    feagi_frame_out_t out;
    feagi_frame_start(&out, l->tx, FEAGI_LINK_MTU_BYTES, FEAGI_KIND_EVENT, seq);
    feagi_frame_put_uint(&out, event.kind);
    feagi_frame_put_uint(&out, event.arg);
    feagi_frame_put_uint(&out, event.time_ms);
    if (l->lost_flying && l->lost_seq == seq) {
        feagi_frame_put_uint(&out, l->lost_sent);
    }
    l->tx_len = (uint16_t)feagi_frame_finish(&out, l->session);
    l->events_flying++;
    l->event_at = (uint32_t)l->now_ms;
    return true;
}

static void make_pong(feagi_link_t *l) {
    feagi_frame_out_t out;
    feagi_frame_start(&out, l->tx, FEAGI_LINK_MTU_BYTES, FEAGI_KIND_PONG, 0);
    feagi_frame_put_uint(&out, l->ping_t1);
    feagi_frame_put_uint(&out, l->ping_t2);
    feagi_frame_put_uint(&out, l->now_us);
    l->tx_len = (uint16_t)feagi_frame_finish(&out, l->session);
    l->pong_due = false;
}

static void make_reply(feagi_link_t *l) {
    feagi_frame_out_t out;
    feagi_frame_start(&out, l->tx, FEAGI_LINK_MTU_BYTES, FEAGI_KIND_REPLY, l->reply_seq);
    feagi_frame_put_raw(&out, l->reply, l->reply_len);
    l->tx_len = (uint16_t)feagi_frame_finish(&out, l->session);
    l->reply_due = false;
}

static void make_keepalive(feagi_link_t *l) {
    feagi_frame_out_t out;
    feagi_frame_start(&out, l->tx, FEAGI_LINK_MTU_BYTES, FEAGI_KIND_KEEPALIVE, l->seq);
    l->tx_len = (uint16_t)feagi_frame_finish(&out, l->session);
}

// What waited too long is sent again; what waited for good ends the session.
static void check_times(feagi_link_t *l, uint32_t now) {
    bool late = false;
    if (l->flights && now - l->delta_at >= FEAGI_RETRANSMIT_MS) {
        late = true;
        l->delta_at = now;
        feagi_link_rewind(l);
    }
    if (l->events_flying && now - l->event_at >= FEAGI_RETRANSMIT_MS) {
        late = true;
        l->events_flying = 0;
    }
    if (late) {
        l->tries++;
    }
    if (l->up && (l->tries > FEAGI_RETRANSMIT_TRIES || now - l->heard_at >= FEAGI_HOST_SILENCE_MS)) {
        feagi_link_offer(l, 0);
    }
}

// Makes the frame that is most due. Returns false if none is.
static bool make_frame(feagi_link_t *l, uint32_t now) {
    if (!l->up) {
        if (!l->hello_due && now - l->hello_at < FEAGI_HELLO_PERIOD_MS) {
            return false;
        }
        make_hello(l);
        l->hello_due = false;
        l->hello_at = now;
        return true;
    }
    if (l->pong_due) {
        make_pong(l);
    } else if (l->reply_due) {
        make_reply(l);
    } else if (!feagi_link_make_delta(l, now) && !make_event(l)) {
        if (l->digest_due && feagi_link_answer_digest(l)) {
            make_reply(l);
        } else if (now - l->spoke_at >= FEAGI_KEEPALIVE_PERIOD_MS) {
            make_keepalive(l);
        } else {
            return false;
        }
    }
    return true;
}

size_t feagi_link_output(feagi_link_t *l, const uint8_t **data) {
    uint32_t now = (uint32_t)l->now_ms;
    if (l->up) {
        check_times(l, now); // also while the stream takes nothing
    }
    if (l->tx_sent == l->tx_len) {
        l->tx_sent = l->tx_len = 0;
        if (!make_frame(l, now)) {
            return 0;
        }
        // Frames of one poll follow each other, and one delimiter serves two. Between polls the program may print.
        l->tx_sent = l->fresh ? 0 : 1;
        l->fresh = false;
        l->spoke_at = now;
    }
    *data = l->tx + l->tx_sent;
    return (size_t)(l->tx_len - l->tx_sent);
}

void feagi_link_sent(feagi_link_t *l, size_t len_bytes) {
    size_t left = (size_t)(l->tx_len - l->tx_sent);
    l->tx_sent = (uint16_t)(l->tx_sent + (len_bytes < left ? len_bytes : left));
}
