// The device's side of a link (shared_spec/LINK.md): frames from and to a byte stream that the caller owns. Knows a region and
// bytes, never a UART. Constant memory, no waiting: a call handles the bytes that it is given or makes one frame.
//
//     feagi_link_tick(&link, now_ms, now_us);
//     feagi_link_receive(&link, bytes that arrived, count);
//     while ((n = feagi_link_output(&link, &data)) > 0)   // until the stream takes no more
//         feagi_link_sent(&link, bytes of data that the stream took);
//
// All functions are called from one context, which is the event ring's consumer. State may be written by others meanwhile.
#ifndef FEAGI_LINK_H
#define FEAGI_LINK_H

#include "feagi_frame.h"
#include "feagi_region.h"

#define FEAGI_LINK_PAGE_WORDS (FEAGI_LINK_PAGES / 32)
// A frame of a device on the wire, at most: its body, and around it the CRC, the COBS code and two delimiters.
#define FEAGI_LINK_WIRE_BYTES (FEAGI_LINK_MTU_BYTES + 7u)

// What a link remembers of a delta in flight: its pages, not its bytes.
typedef struct {
    uint32_t pages[FEAGI_LINK_PAGE_WORDS];
    uint8_t seq;
} feagi_link_flight_t;

// What is 0 at the start of every session.
typedef struct {
    // Deltas
    uint16_t next_at;   // offset in the region where the next one begins to look
    uint8_t seq, acked; // last sent, last acknowledged
    uint8_t flights;    // of flight[], oldest first
    uint8_t tries;      // retransmissions since the last answer
    uint8_t cautious;   // deltas that still go alone and with one page, after a loss
    uint8_t window;     // deltas that the host takes before it says more
    bool repair;        // the next delta follows `acked`, not the last one sent
    bool clock_waiting; // the clock's page changed at clock_at
    // Events
    uint8_t event_seq;     // last one acknowledged
    uint8_t event_top;     // last one sent for the first time
    uint8_t events_flying; // sent behind event_seq since the last loss
    bool lost_flying;      // `lost_sent` rides on event `lost_seq`, which is not acknowledged yet
    // Answers
    bool pong_due, reply_due, reply_known, digest_due;
} feagi_link_run_t;

// Bytes first: there short instructions reach them.
typedef struct {
    feagi_link_run_t run;
    bool up;         // a host acknowledged the session
    bool keep_clock; // of the caller: hosts do not set the region's clock, since the application does
    bool hello_due;
    bool fresh;        // nothing was sent since the last tick: anything may stand on the line
    uint8_t most;      // deltas in flight that the host has room for
    uint8_t mtu;       // longest body of the session that is offered or runs
    uint8_t lost_seq;  // see lost_flying
    uint8_t reply_seq; // of the last reply, its status, and how many values it has
    int8_t reply_status;
    uint8_t reply_count;
    uint16_t lost_sent;
    uint16_t tx_len, tx_sent;

    feagi_region_t *region;
    const char *name;        // of the device, at most FEAGI_DEVICE_NAME_LEN_BYTES of UTF-8
    uint32_t session;        // id that is offered, or in use when up
    uint32_t entropy;        // where session ids come from
    uint64_t now_ms, now_us; // as of the last tick
    // Times are the low 32 bits of now_ms; only differences are used.
    uint32_t hello_at, heard_at, spoke_at, delta_at, event_at, clock_at;
    uint32_t clock_sent; // version (low half) as the host will have it
    uint32_t lost_acked; // rejected events that the host knows of
    uint32_t rejected;   // segments that were no valid frame of the present session
    uint64_t ping_t1, ping_t2;
    uint64_t reply_values[2];
    feagi_frame_in_t in;
    feagi_link_flight_t flight[FEAGI_LINK_WINDOW];
    uint8_t rx[FEAGI_LINK_RXBUF_BYTES];
    uint8_t tx[FEAGI_LINK_WIRE_BYTES];
} feagi_link_t;

// Makes a link for a region and begins to track the region's changes in `dirty`, feagi_region_dirty_words(region) words of the
// caller. `entropy` should differ at every start (it makes session ids). `name` stays the caller's, and must stay. Set-up only.
// Returns 0, FEAGI_ERR_LENGTH (the region has more than FEAGI_LINK_PAGES pages, or the name is too long) or FEAGI_ERR_ENCODING.
int feagi_link_init(feagi_link_t *l, feagi_region_t *region, uint32_t *dirty, const char *name, uint32_t entropy);

// Takes the host's frames as text from now on, as a line needs that a prompt reads too. Set-up only.
static inline void feagi_link_take_text(feagi_link_t *l) {
    l->in.text = true;
}

// Tells the time: milliseconds and microseconds since start, neither ever going back.
void feagi_link_tick(feagi_link_t *l, uint64_t now_ms, uint64_t now_us);

// Takes bytes that arrived. About 33 instructions a byte, and what a command does.
void feagi_link_receive(feagi_link_t *l, const uint8_t *data, size_t len_bytes);

// The bytes to send next: what is left of the present frame, or a new frame if something is due. Returns how many, 0 for none.
size_t feagi_link_output(feagi_link_t *l, const uint8_t **data);

// Tells that the first `len_bytes` of the last output were taken by the stream.
void feagi_link_sent(feagi_link_t *l, size_t len_bytes);

// Bytes of a line of the log that any host takes.
#define FEAGI_LINK_LOG_BYTES (FEAGI_LINK_MTU_LEAST_BYTES - 6u)

// A line for the host's log, which is the next output, and is said once, whether it arrives or not. `level`: as in Python's
// logging, 10 (debug) to 50 (critical). Of a longer text the first FEAGI_LINK_LOG_BYTES go, up to the last whole character of
// them. Returns 1; 0 if there is no host, or a frame of which the stream has not taken everything; FEAGI_ERR_ENCODING.
int feagi_link_log(feagi_link_t *l, uint8_t level, const uint8_t *text, size_t len_bytes);

// Mixes two numbers into one whose bits all depend on both. Makes session ids, and boot ids of what a port has. Any context.
uint32_t feagi_link_mix(uint32_t a, uint32_t b);

#endif
