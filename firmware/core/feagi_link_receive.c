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

static void start_session(feagi_link_t *l) {
    feagi_port_clear(&l->run, sizeof l->run);
    l->run.window = l->most;
    l->up = true;
    l->heard_at = (uint32_t)l->now_ms;
    feagi_link_start_deltas(l);
}

// SET, ADD and SUBTRACT: [field, value]. Returns how many values the reply has, or an error.
static int run_field_command(feagi_link_t *l, unsigned op, const uint8_t *at, const uint8_t *end) {
    feagi_frame_item_t field, value;
    if (feagi_frame_next(&at, end, &field) <= 0 || feagi_frame_next(&at, end, &value) <= 0 || at != end || field.major >= 2 ||
        value.major >= 2) {
        return FEAGI_ERR_COMMAND;
    }
    const int index = field.major ? FEAGI_ERR_FIELD : feagi_state_field_at(field.value);
    if (index < 0 || value.major) {
        return index < 0 ? index : FEAGI_ERR_RANGE; // no field holds a negative number
    }
    const int status = feagi_state_write(l->region, (unsigned)index, op - FEAGI_COMMAND_OP_SET + FEAGI_STATE_SET, value.value,
                                         &l->reply_values[0]);
    return status ? status : op != FEAGI_COMMAND_OP_SET || l->reply_values[0] != value.value;
}
_Static_assert(FEAGI_COMMAND_OP_ADD - FEAGI_COMMAND_OP_SET == FEAGI_STATE_ADD - FEAGI_STATE_SET &&
                   FEAGI_COMMAND_OP_SUBTRACT - FEAGI_COMMAND_OP_SET == FEAGI_STATE_SUBTRACT - FEAGI_STATE_SET,
               "operations come in the order of the writes");

static void receive_command(feagi_link_t *l, const feagi_frame_t *frame) {
    // Of a command that came before in this session only the last one is answered again, and none is run again: neither one that
    // the host repeats nor an older one that the line does.
    if ((l->run.reply_known || l->run.digest_due) && !feagi_link_is_behind(frame->seq, l->reply_seq)) {
        l->run.reply_due |= l->run.reply_known && frame->seq == l->reply_seq;
        return;
    }
    const uint8_t *at = frame->payload, *end = frame->payload + frame->len;
    const unsigned op = (unsigned)next_number(&at, end);
    l->reply_seq = frame->seq;
    l->run.reply_known = l->run.reply_due = l->run.digest_due = false;
    if (op == FEAGI_COMMAND_OP_DIGEST && at == end) {
        l->run.digest_due = true;
    } else {
        const bool is_field = op >= FEAGI_COMMAND_OP_SET && op <= FEAGI_COMMAND_OP_SUBTRACT;
        const int count = is_field ? run_field_command(l, op, at, end) : FEAGI_ERR_COMMAND;
        feagi_link_answer(l, count < 0 ? count : 0, (unsigned)count);
    }
}

static void receive_event_ack(feagi_link_t *l, uint8_t seq) {
    const uint8_t count = (uint8_t)(seq - l->run.event_seq);
    if (count == 0 || count > l->run.events_flying) {
        return; // of an event that is done, or never was
    }
    feagi_events_release(l->region, count);
    l->run.event_seq = seq;
    l->run.events_flying = (uint8_t)(l->run.events_flying - count);
    l->event_at = (uint32_t)l->now_ms;
    l->run.tries = 0;
    if (l->run.lost_flying && !feagi_link_is_behind(l->lost_seq, seq)) {
        l->lost_acked += l->lost_sent;
        l->run.lost_flying = false;
    }
}

// The rest of a hello_ack or ping: the time of day, if the host knows it.
static void receive_time(feagi_link_t *l, const uint8_t *at, const uint8_t *end, bool opening) {
    if (!l->keep_clock) {
        feagi_clock_hear(l->region, l->now_ms, next_number(&at, end), opening);
    }
}

// How many deltas the host takes: one at least, or nothing would go on.
static void set_window(feagi_link_t *l, uint32_t deltas) {
    l->run.window = (uint8_t)(deltas == 0 ? 1 : deltas < l->most ? deltas : l->most);
}

// A host's hello. One with pages is a device's: this one's, echoed. proto and schema are for the host to judge.
static void receive_hello(feagi_link_t *l, const uint8_t *at, const uint8_t *end) {
    uint32_t items[6]; // proto, schema, boot, mtu, npages, rxbuf
    for (unsigned i = 0; i < 6; i++) {
        items[i] = (uint32_t)next_number(&at, end);
    }
    if (items[4] != 0 || items[3] < FEAGI_LINK_MTU_LEAST_BYTES) {
        return;
    }
    l->mtu = (uint8_t)(items[3] < FEAGI_LINK_MTU_BYTES ? items[3] : FEAGI_LINK_MTU_BYTES);
    l->most = 1;
    for (uint32_t room = items[5]; l->most < FEAGI_LINK_WINDOW && room >= 2 * FEAGI_LINK_WIRE_BYTES; l->most++) {
        room -= FEAGI_LINK_WIRE_BYTES;
    }
    feagi_link_offer(l, items[2]);
}

static void receive_frame(feagi_link_t *l, const feagi_frame_t *frame) {
    const uint8_t *at = frame->payload, *end = frame->payload + frame->len;
    if (frame->kind == FEAGI_KIND_HELLO) {
        receive_hello(l, at, end);
        return;
    }
    if (frame->kind == FEAGI_KIND_HELLO_ACK) {
        if (!l->up && next_number(&at, end) == l->session) {
            receive_time(l, at, end, true);
            start_session(l);
        }
        return;
    }
    l->heard_at = (uint32_t)l->now_ms;
    switch (frame->kind) {
        case FEAGI_KIND_ACK:
        case FEAGI_KIND_NAK:
            if ((uint8_t)(frame->seq - l->run.acked) > (uint8_t)(l->run.seq - l->run.acked)) {
                return; // of a delta that was not sent yet, or was acknowledged long ago
            }
            feagi_link_acknowledge(l, frame->seq);
            if (frame->kind == FEAGI_KIND_NAK) {
                feagi_link_rewind(l);
            } else {
                set_window(l, (uint32_t)next_number(&at, end));
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
            l->run.pong_due = true;
            receive_time(l, at, end, false);
            return;
        default: // a device's frame, echoed by the line: not for us
            return;
    }
}

void feagi_link_receive(feagi_link_t *l, const uint8_t *data, size_t len_bytes) {
    while (len_bytes--) {
        const int got = feagi_frame_feed(&l->in, *data++);
        if (got == 0) {
            continue;
        }
        feagi_frame_t frame;
        const bool opening = l->rx[0] == FEAGI_KIND_HELLO || l->rx[0] == FEAGI_KIND_HELLO_ACK;
        if (got > 0 && (opening || l->up) && feagi_frame_check(l->rx, (size_t)got, opening ? 0 : l->session, &frame) == 0) {
            receive_frame(l, &frame);
        } else {
            l->rejected++;
        }
    }
}
