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

static size_t length_of(const char *name) {
    size_t len = 0;
    while (name && name[len]) {
        len++;
    }
    return len;
}

int feagi_link_init(feagi_link_t *l, feagi_region_t *region, uint32_t *dirty, const char *name, uint32_t entropy) {
    const size_t name_len = length_of(name);
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
    l->mtu = FEAGI_LINK_MTU_BYTES;
    l->most = FEAGI_LINK_WINDOW;
    feagi_frame_in_init(&l->in, l->rx, sizeof l->rx);
    region->dirty = dirty;
    feagi_link_clear_marks(l);
    feagi_link_offer(l, 0);
    return 0;
}

void feagi_link_tick(feagi_link_t *l, uint64_t now_ms, uint64_t now_us) {
    l->now_ms = now_ms;
    l->now_us = now_us;
    l->fresh = true;
}

FEAGI_PORT_ONCE void feagi_link_start(feagi_link_t *l, feagi_frame_out_t *out, uint8_t kind, uint8_t seq) {
    feagi_frame_start(out, l->tx, l->mtu, kind, seq);
}

static void make_hello(feagi_link_t *l, feagi_frame_out_t *out) {
    feagi_link_start(l, out, FEAGI_KIND_HELLO, l->in.text ? FEAGI_HELLO_SEQ_TEXT : 0);
    feagi_frame_put_uint(out, FEAGI_PROTOCOL_VERSION);
    feagi_frame_put_uint(out, FEAGI_SCHEMA_HASH);
    feagi_frame_put_uint(out, l->session);
    feagi_frame_put_uint(out, l->mtu);
    feagi_frame_put_uint(out, l->region->pages);
    feagi_frame_put_uint(out, FEAGI_LINK_RXBUF_BYTES);
    feagi_frame_put_uint(out, l->now_ms);
    if (l->name) {
        feagi_frame_put_text(out, (const uint8_t *)l->name, length_of(l->name));
    }
    l->hello_due = false;
    l->hello_at = (uint32_t)l->now_ms;
}

// One event: the next one that was not sent, or again the first after a loss. Returns false if there is none to send.
static bool make_event(feagi_link_t *l, feagi_frame_out_t *out) {
    feagi_event_t event;
    if (l->run.events_flying == FEAGI_LINK_EVENTS_WINDOW || !feagi_events_peek(l->region, l->run.events_flying, &event)) {
        return false;
    }
    l->run.events_flying++;
    const uint8_t seq = (uint8_t)(l->run.event_seq + l->run.events_flying);
    if (feagi_link_is_behind(seq, l->run.event_top)) { // for the first time
        l->run.event_top = seq;
        // The count of rejected events rides on an event that the host cannot have yet, and stays as it is until that one is
        // acknowledged: so the host takes it once.
        const uint32_t lost = feagi_events_rejected(l->region) - l->lost_acked;
        if (lost && !l->run.lost_flying) {
            l->run.lost_flying = true;
            l->lost_seq = seq;
            l->lost_sent = (uint16_t)(lost < UINT16_MAX ? lost : UINT16_MAX);
        }
    }
    feagi_link_start(l, out, FEAGI_KIND_EVENT, seq);
    feagi_frame_put_uint(out, event.kind);
    feagi_frame_put_uint(out, event.arg);
    feagi_frame_put_uint(out, event.time_ms);
    if (l->run.lost_flying && l->lost_seq == seq) {
        feagi_frame_put_uint(out, l->lost_sent);
    }
    l->event_at = (uint32_t)l->now_ms;
    return true;
}

static void make_pong(feagi_link_t *l, feagi_frame_out_t *out) {
    feagi_link_start(l, out, FEAGI_KIND_PONG, 0);
    feagi_frame_put_uint(out, l->ping_t1);
    feagi_frame_put_uint(out, l->ping_t2);
    feagi_frame_put_uint(out, l->now_us);
    l->run.pong_due = false;
}

void feagi_link_answer(feagi_link_t *l, int status, unsigned count) {
    l->reply_status = (int8_t)status;
    l->reply_count = (uint8_t)(status ? 0 : count);
    l->run.reply_known = l->run.reply_due = true;
    l->run.digest_due = false;
}

static void make_reply(feagi_link_t *l, feagi_frame_out_t *out) {
    feagi_link_start(l, out, FEAGI_KIND_REPLY, l->reply_seq);
    feagi_frame_put_int(out, l->reply_status);
    for (unsigned i = 0; i < l->reply_count; i++) {
        feagi_frame_put_uint(out, l->reply_values[i]);
    }
    l->run.reply_due = false;
}

// Answers a DIGEST that waits, if everything has been sent. Returns whether.
static bool answer_digest(feagi_link_t *l) {
    if (!l->run.digest_due || !feagi_link_all_sent(l)) {
        return false;
    }
    l->reply_values[0] = feagi_region_digest(l->region);
    l->reply_values[1] = l->run.seq;
    // An interrupt may have written meanwhile: then the digest is of no instant, and the next one is waited for.
    if (!feagi_link_all_sent(l)) {
        return false;
    }
    feagi_link_answer(l, 0, 2);
    return true;
}

// What waited too long is sent again; what waited for good ends the session.
static void check_times(feagi_link_t *l) {
    const uint32_t now = (uint32_t)l->now_ms;
    bool late = false;
    if (l->run.flights && now - l->delta_at >= FEAGI_RETRANSMIT_MS) {
        late = true;
        l->delta_at = now;
        feagi_link_rewind(l);
    }
    if (l->run.events_flying && now - l->event_at >= FEAGI_RETRANSMIT_MS) {
        late = true;
        l->run.events_flying = 0;
    }
    if (late) {
        l->run.tries++;
    }
    if (l->up && (l->run.tries > FEAGI_RETRANSMIT_TRIES || now - l->heard_at >= FEAGI_HOST_SILENCE_MS)) {
        feagi_link_offer(l, 0);
    }
}

// The frame that was made is the next output.
static void finish(feagi_link_t *l, feagi_frame_out_t *out) {
    l->tx_len = (uint16_t)feagi_frame_finish(out, l->up ? l->session : 0);
    // Frames of one poll follow each other, and one delimiter serves two. Between polls the program may print.
    l->tx_sent = l->fresh ? 0 : 1;
    l->fresh = false;
    l->spoke_at = (uint32_t)l->now_ms;
}

// Makes the frame that is most due. Returns false if none is.
static bool make_frame(feagi_link_t *l) {
    const uint32_t now = (uint32_t)l->now_ms;
    feagi_frame_out_t out;
    if (!l->up) {
        if (!l->hello_due && now - l->hello_at < FEAGI_HELLO_PERIOD_MS) {
            return false;
        }
        make_hello(l, &out);
    } else if (l->run.pong_due) {
        make_pong(l, &out);
    } else if (l->run.reply_due) {
        make_reply(l, &out);
    } else if (!feagi_link_make_delta(l, &out) && !make_event(l, &out)) {
        if (answer_digest(l)) {
            make_reply(l, &out);
        } else if (now - l->spoke_at >= FEAGI_KEEPALIVE_PERIOD_MS) {
            feagi_link_start(l, &out, FEAGI_KIND_KEEPALIVE, l->run.seq);
        } else {
            return false;
        }
    }
    finish(l, &out);
    return true;
}

size_t feagi_link_output(feagi_link_t *l, const uint8_t **data) {
    if (l->up) {
        check_times(l); // also while the stream takes nothing
    }
    if (l->tx_sent == l->tx_len) {
        l->tx_sent = l->tx_len = 0;
        if (!make_frame(l)) {
            return 0;
        }
    }
    *data = l->tx + l->tx_sent;
    return (size_t)(l->tx_len - l->tx_sent);
}

int feagi_link_log(feagi_link_t *l, uint8_t level, const uint8_t *text, size_t len_bytes) {
    if (!feagi_text_valid(text, len_bytes)) {
        return FEAGI_ERR_ENCODING;
    }
    if (!l->up || l->tx_sent != l->tx_len) {
        return 0;
    }
    if (len_bytes > FEAGI_LINK_LOG_BYTES) {
        for (len_bytes = FEAGI_LINK_LOG_BYTES; (text[len_bytes] & 0xc0) == 0x80;) {
            len_bytes--; // a character that goes on
        }
    }
    feagi_frame_out_t out;
    feagi_link_start(l, &out, FEAGI_KIND_LOG, 0);
    feagi_frame_put_uint(&out, level);
    feagi_frame_put_text(&out, text, len_bytes);
    l->fresh = true; // the program may have printed since the last poll
    finish(l, &out);
    return 1;
}

void feagi_link_sent(feagi_link_t *l, size_t len_bytes) {
    const size_t left = (size_t)(l->tx_len - l->tx_sent);
    l->tx_sent = (uint16_t)(l->tx_sent + (len_bytes < left ? len_bytes : left));
}
