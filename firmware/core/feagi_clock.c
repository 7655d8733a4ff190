#include "feagi_clock.h"

#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_write.h"

#define FLAGS_AT ((uint32_t)offsetof(feagi_header_t, flags))

// Moves the clock, and all times that it gave, by `by_ms` (modulo 2^64).
static void step(feagi_region_t *r, uint64_t by_ms) {
    // One section, so that no interrupt adds a time of the new clock to those that are moved. Nobody else writes meanwhile.
    feagi_port_key_t key = feagi_port_lock();
    const uint32_t events_head = feagi_events_head(r);
    r->epoch_ms += by_ms;
    r->now_ms += by_ms;
    *feagi_region_u32(r, FLAGS_AT) |= FEAGI_FLAG_UNIX_TIME;
    if (*feagi_region_u64(r, FEAGI_WRITE_VERSION_AT)) { // else there was no write yet, and 0 is no time
        *feagi_region_u64(r, FEAGI_WRITE_LAST_MODIFIED_AT) += by_ms;
    }
    for (uint32_t slot = 0; slot < r->agents.capacity; slot++) {
        feagi_agent_t *agent = feagi_agents_slot(r, slot);
        if (agent->state == FEAGI_AGENT_SLOT_STATE_REGISTERED) {
            agent->registered_at += by_ms;
            agent->last_seen += by_ms;
        }
    }
    feagi_port_unlock(key);
    feagi_events_shift(r, events_head, (uint32_t)by_ms);
    // Behind the section, which should be short: what sends the marked words is this context. More than changed, but seldom.
    feagi_region_mark(r, FLAGS_AT, 4);
    feagi_region_mark(r, FEAGI_WRITE_VERSION_AT, 16); // as a whole: a write of `version` does not mark it
    feagi_region_mark(r, r->agents.at, (uint32_t)r->agents.capacity * r->agents.entry_len);
}

void feagi_clock_hear(feagi_region_t *r, uint64_t uptime_ms, uint64_t unix_ms, bool opening) {
    if (unix_ms < FEAGI_UNIX_LEAST_MS) {
        return;
    }
    const uint64_t ahead = uptime_ms + r->epoch_ms - unix_ms; // of what was sent; modulo 2^64
    const bool is_behind = ahead > INT64_MAX;
    const bool is_far_off = ahead + FEAGI_CLOCK_STEP_MS > 2 * FEAGI_CLOCK_STEP_MS;
    if (!(*feagi_region_u32(r, FLAGS_AT) & FEAGI_FLAG_UNIX_TIME) || (is_far_off && (is_behind || opening))) {
        step(r, 0 - ahead);
    } else if (is_behind) {
        r->epoch_ms -= ahead; // surely: the message took time
    } else if (ahead) {
        r->epoch_ms--; // perhaps: the message may have taken longer than others
    }
}
