// What a device does with the frames of its host.
#include "feagi_link_internal.h"

#include "feagi_clock.h"
#include "feagi_events.h"
#include "feagi_state.h"

// The frame's numbers; a shape that was checked has them. Bytes read as 0.
static uint64_t next_number(const uint8_t **at, const uint8_t *end) {
    feagi_frame_item_t item;
    return feagi_frame_next(at, end, &item) > 0 && item.major == 0 ? item.value : 0;
}

static void start_session(feagi_link_t *l, uint32_t now) {
    l->up = true;
    l->heard_at = now;
    l->events_flying = l->event_seq = l->event_top = 0;
    l->lost_flying = false;
    l->pong_due = l->reply_due = l->reply_known = l->digest_due = false;
    feagi_link_start_deltas(l);
}

// Makes the reply to the command in hand: a status and, if it is 0, `count` values.
static void answer(feagi_link_t *l, int status, const uint64_t *values, unsigned count) {
    uint8_t wire[FEAGI_FRAME_BODY_AT + 2 + FEAGI_REPLY_LEN_BYTES];
    feagi_frame_out_t out;
    feagi_frame_start(&out, wire, 2 + FEAGI_REPLY_LEN_BYTES, FEAGI_KIND_REPLY, l->reply_seq);
    feagi_frame_put_int(&out, status);
    for (unsigned i = 0; status == 0 && i < count; i++) {
        feagi_frame_put_uint(&out, values[i]);
    }
    l->reply_len = (uint8_t)(out.len - FEAGI_FRAME_BODY_AT - 2);
    feagi_port_copy(l->reply, wire + FEAGI_FRAME_BODY_AT + 2, l->reply_len);
    l->reply_known = l->reply_due = true;
    l->digest_due = false;
}

bool feagi_link_answer_digest(feagi_link_t *l) {
    if (!feagi_link_all_sent(l)) {
        return false;
    }
    const uint64_t values[] = {feagi_region_digest(l->region), l->seq};
    // An interrupt may have written meanwhile: then the digest is of no instant, and the next one is waited for.
    if (!feagi_link_all_sent(l)) {
        return false;
    }
    answer(l, 0, values, 2);
    return true;
}

// SET, ADD and SUBTRACT: [field, value]
static void run_field_command(feagi_link_t *l, uint64_t op, const uint8_t *at, const uint8_t *end) {
    feagi_frame_item_t field, value;
    if (feagi_frame_next(&at, end, &field) <= 0 || feagi_frame_next(&at, end, &value) <= 0 || at != end || field.major >= 2 ||
        value.major >= 2) {
        answer(l, FEAGI_ERR_COMMAND, NULL, 0);
        return;
    }
    int index = field.major ? FEAGI_ERR_FIELD : feagi_state_field_at(field.value);
    uint64_t stored = 0;
    int status = index < 0                    ? index
                 : value.major                ? FEAGI_ERR_RANGE // no field holds a negative number
                 : op == FEAGI_COMMAND_OP_SET ? feagi_state_set(l->region, (unsigned)index, value.value, &stored)
                 : op == FEAGI_COMMAND_OP_ADD ? feagi_state_add(l->region, (unsigned)index, value.value, &stored)
                                              : feagi_state_subtract(l->region, (unsigned)index, value.value, &stored);
    answer(l, status, &stored, 1);
}

static void receive_command(feagi_link_t *l, const feagi_frame_t *frame) {
    if (frame->seq == l->reply_seq) {
        if (l->reply_known) {
            l->reply_due = true; // asked again: answered again, not run again
            return;
        }
        if (l->digest_due) {
            return; // asked again while it waits
        }
    }
    const uint8_t *at = frame->payload, *end = frame->payload + frame->len;
    uint64_t op = next_number(&at, end);
    l->reply_seq = frame->seq;
    l->reply_known = l->reply_due = l->digest_due = false;
    if (op == FEAGI_COMMAND_OP_DIGEST && at == end) {
        l->digest_due = true;
    } else if (op == FEAGI_COMMAND_OP_SET || op == FEAGI_COMMAND_OP_ADD || op == FEAGI_COMMAND_OP_SUBTRACT) {
        run_field_command(l, op, at, end);
    } else {
        answer(l, FEAGI_ERR_COMMAND, NULL, 0);
    }
}

static void receive_event_ack(feagi_link_t *l, uint8_t seq) {
    uint8_t count = (uint8_t)(seq - l->event_seq);
    if (count == 0 || count > l->events_flying) {
        return; // of an event that is done, or never was
    }
    feagi_events_release(l->region, count);
    l->event_seq = seq;
    l->events_flying = (uint8_t)(l->events_flying - count);
    l->event_at = (uint32_t)l->now_ms;
    l->tries = 0;
    if (l->lost_flying && (uint8_t)(seq - l->lost_seq) < 128) {
        l->lost_acked += l->lost_sent;
        l->lost_flying = false;
    }
}

// The rest of a hello_ack or ping: the time of day, if the host knows it.
static void receive_time(feagi_link_t *l, const uint8_t *at, const uint8_t *end, bool opening) {
    if (!l->keep_clock) {
        feagi_clock_hear(l->region, l->now_ms, next_number(&at, end), opening);
    }
}

static void receive_frame(feagi_link_t *l, const feagi_frame_t *frame) {
    uint32_t now = (uint32_t)l->now_ms;
    const uint8_t *at = frame->payload, *end = frame->payload + frame->len;
    if (frame->kind == FEAGI_KIND_HELLO) {
        uint64_t items[5]; // proto, schema, boot, mtu, npages
        for (unsigned i = 0; i < 5; i++) {
            items[i] = next_number(&at, end);
        }
        // A hello with pages is a device's: this one's, echoed. proto and schema are for the host to judge.
        if (items[4] == 0) {
            feagi_link_offer(l, (uint32_t)items[2]);
        }
        return;
    }
    if (frame->kind == FEAGI_KIND_HELLO_ACK) {
        if (!l->up && next_number(&at, end) == l->session) {
            receive_time(l, at, end, true);
            start_session(l, now);
        }
        return;
    }
    l->heard_at = now;
    switch (frame->kind) {
        case FEAGI_KIND_ACK:
        case FEAGI_KIND_NAK:
            if ((uint8_t)(frame->seq - l->acked) > (uint8_t)(l->seq - l->acked)) {
                return; // of a delta that was not sent yet, or was acknowledged long ago
            }
            feagi_link_acknowledge(l, frame->seq);
            if (frame->kind == FEAGI_KIND_NAK) {
                feagi_link_rewind(l);
            }
            return;
        case FEAGI_KIND_EVENT_ACK:
            receive_event_ack(l, frame->seq);
            return;
        case FEAGI_KIND_COMMAND:
            receive_command(l, frame);
            return;
        case FEAGI_KIND_PING:
            l->ping_t1 = next_number(&at, end);
            l->ping_t2 = l->now_us;
            l->pong_due = true;
            receive_time(l, at, end, false);
            return;
        default: // a device's frame, echoed by the line: not for us
            return;
    }
}

void feagi_link_receive(feagi_link_t *l, const uint8_t *data, size_t len_bytes) {
    while (len_bytes--) {
        int got = feagi_frame_feed(&l->in, *data++);
        if (got == 0) {
            continue;
        }
        feagi_frame_t frame;
        bool opening = got >= 6 && (l->rx[0] == FEAGI_KIND_HELLO || l->rx[0] == FEAGI_KIND_HELLO_ACK);
        if (got > 0 && (opening || l->up) && feagi_frame_check(l->rx, (size_t)got, opening ? 0 : l->session, &frame) == 0) {
            receive_frame(l, &frame);
        } else {
            l->rejected++;
        }
    }
}
