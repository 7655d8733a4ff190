// Between the parts of the link: feagi_link.c (session, output), feagi_link_delta.c (pages), feagi_link_receive.c (input).
#ifndef FEAGI_LINK_INTERNAL_H
#define FEAGI_LINK_INTERNAL_H

#include "feagi_link.h"

// Whether number `seq` comes behind `than`, of two that are less than 128 apart.
static inline bool feagi_link_is_behind(uint8_t seq, uint8_t than) {
    return (int8_t)(seq - than) > 0;
}

// Ends the session, if there is one, and offers another, mixed from `nonce`.
void feagi_link_offer(feagi_link_t *l, uint32_t nonce);

// Starts a frame in l->tx.
void feagi_link_start(feagi_link_t *l, feagi_frame_out_t *out, uint8_t kind, uint8_t seq);

// Forgets all changes of the region.
void feagi_link_clear_marks(feagi_link_t *l);

// Starts the offered session: everything is to be sent.
void feagi_link_start_deltas(feagi_link_t *l);

// Makes the next delta in l->tx. Returns false if none may go or nothing is dirty.
bool feagi_link_make_delta(feagi_link_t *l, feagi_frame_out_t *out);

// Forgets the deltas in flight up to `seq`, which the host has.
void feagi_link_acknowledge(feagi_link_t *l, uint8_t seq);

// Marks the pages of all deltas in flight as a whole and goes on carefully. Ends the session when the sequence numbers run too
// far ahead.
void feagi_link_rewind(feagi_link_t *l);

// Whether the region is, word for word, what the deltas sent so far make of a host's copy.
bool feagi_link_all_sent(const feagi_link_t *l);

// Makes the reply to the command in hand: a status and, if it is 0, `count` of l->reply_values.
void feagi_link_answer(feagi_link_t *l, int status, unsigned count);

#endif
