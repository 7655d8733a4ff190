// The device's role of the link as a library, for tests that play the host and the line in their own process: any number of
// devices, whose time is what the test says. tests/link/simulation.py is its other half.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_hashes.h"
#include "feagi_link.h"
#include "feagi_locks.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_windows.h"
#include "reencode.h"

// Each part in a block of its own, so that the sanitizer sees an access beyond its end.
typedef struct {
    feagi_region_t *region;
    feagi_link_t *link;
    uint32_t *dirty;
} device_t;

void device_free(device_t *d) {
    if (d->region) {
        free(d->region->base);
    }
    free(d->region);
    free(d->link);
    free(d->dirty);
    free(d);
}

// A device that has just started, or NULL.
device_t *device_new(unsigned profile, uint32_t boot_id) {
    const uint32_t len = feagi_region_len(feagi_region_profile((uint8_t)profile));
    device_t *d = calloc(1, sizeof *d);
    d->region = calloc(1, sizeof *d->region);
    d->link = malloc(sizeof *d->link);
    if (feagi_region_init(d->region, malloc(len), len, (uint8_t)profile, boot_id)) {
        device_free(d);
        return NULL;
    }
    d->dirty = malloc(feagi_region_dirty_words(d->region) * sizeof *d->dirty);
    if (feagi_link_init(d->link, d->region, d->dirty, "device", boot_id)) {
        device_free(d);
        return NULL;
    }
    return d;
}

const uint8_t *device_base(const device_t *d) {
    return d->region->base;
}

uint32_t device_len(const device_t *d) {
    return d->region->len_bytes;
}

uint32_t device_session(const device_t *d) {
    return d->link->session;
}

bool device_is_up(const device_t *d) {
    return d->link->up;
}

uint32_t device_rejected(const device_t *d) {
    return d->link->rejected;
}

// Of the events: the position that the next one gets, the oldest one that is kept, and how many found no place.
uint32_t device_head(const device_t *d) {
    return feagi_events_head(d->region);
}

uint32_t device_tail(const device_t *d) {
    return ((const feagi_ring_t *)(const void *)(d->region->base + d->region->events_at))->tail;
}

uint32_t device_events_rejected(const device_t *d) {
    return feagi_events_rejected(d->region);
}

// The event at a position that is kept: kind << 32 | arg.
uint64_t device_event(const device_t *d, uint32_t position) {
    feagi_event_t event = {0};
    feagi_events_peek(d->region, position - device_tail(d), &event);
    return (uint64_t)event.kind << 32 | event.arg;
}

void device_keep_clock(device_t *d) {
    d->link->keep_clock = true;
}

void device_take_text(device_t *d) {
    feagi_link_take_text(d->link);
}

void device_tick(device_t *d, uint64_t ms) {
    feagi_region_set_time(d->region, ms);
    feagi_link_tick(d->link, ms, ms * 1000);
}

// In a block of its own length, so that the sanitizer sees a byte read too far.
void device_receive(device_t *d, const uint8_t *data, size_t len_bytes) {
    uint8_t *exact = malloc(len_bytes ? len_bytes : 1);
    memcpy(exact, data, len_bytes);
    feagi_link_receive(d->link, exact, len_bytes);
    free(exact);
}

// The next frames, at most `frames` and as many bytes of them as the stream has room for. Returns how many; they are in `out`.
size_t device_output(device_t *d, unsigned frames, size_t room_bytes, uint8_t *out) {
    const uint8_t *data;
    size_t len, taken, total = 0;
    do {
        len = feagi_link_output(d->link, &data);
        taken = len < room_bytes - total ? len : room_bytes - total;
        memcpy(out + total, data, taken);
        total += taken;
        feagi_link_sent(d->link, taken);
    } while (len && taken == len && --frames);
    return total;
}

static uint32_t u32(const char *text) {
    return (uint32_t)strtoul(text, NULL, 10);
}

static long long count(device_t *d, const char *id, unsigned which, long long amount) {
    const int slot = feagi_stats_find(d->region, (const uint8_t *)id, strlen(id));
    if (slot < 0) {
        return slot;
    }
    return amount < 0 ? feagi_stats_subtract(d->region, (uint32_t)slot, which, (uint32_t)-amount)
                      : feagi_stats_add(d->region, (uint32_t)slot, which, (uint32_t)amount);
}

// What an application does: a command of words, and the number that it is answered with.
//
//   set FIELD VALUE | add FIELD AMOUNT | register ID | deregister ID | heartbeat ID | evict MS | event KIND ARG |
//   hash INDEX VALUE | lock AREA OWNER | unlock AREA OWNER | window AREA WINDOW | no_window AREA | stat ID |
//   count ID COUNT AMOUNT (negative subtracts) | log LEVEL TEXT
//
// FIELD is an index of feagi_fields, INDEX a FEAGI_HASHES_*, COUNT a FEAGI_STATS_*.
long long device_do(device_t *d, const char *command, const char *first, const char *second, const char *third) {
    feagi_region_t *r = d->region;
    const uint8_t *id = (const uint8_t *)first;
    const size_t id_len = strlen(first);
    const uint64_t value = strtoull(second, NULL, 10);
    if (strcmp(command, "set") == 0) {
        return feagi_state_set(r, u32(first), value, NULL);
    } else if (strcmp(command, "add") == 0) {
        return feagi_state_add(r, u32(first), value, NULL);
    } else if (strcmp(command, "register") == 0) {
        return feagi_agents_register(r, id, id_len, 0, NULL, 0, NULL);
    } else if (strcmp(command, "deregister") == 0) {
        return feagi_agents_deregister(r, id, id_len);
    } else if (strcmp(command, "heartbeat") == 0) {
        return feagi_agents_heartbeat(r, id, id_len);
    } else if (strcmp(command, "evict") == 0) {
        return feagi_agents_evict(r, strtoull(first, NULL, 10));
    } else if (strcmp(command, "event") == 0) {
        return feagi_events_push(r, (uint16_t)u32(first), (uint32_t)value);
    } else if (strcmp(command, "hash") == 0) {
        feagi_hashes_set(r, u32(first), value);
        return 0;
    } else if (strcmp(command, "lock") == 0) {
        return feagi_locks_try_lock(r, u32(first), value);
    } else if (strcmp(command, "unlock") == 0) {
        return feagi_locks_unlock(r, u32(first), value);
    } else if (strcmp(command, "window") == 0) {
        return feagi_windows_set(r, u32(first), (uint32_t)value);
    } else if (strcmp(command, "no_window") == 0) {
        return feagi_windows_remove(r, u32(first));
    } else if (strcmp(command, "stat") == 0) {
        return feagi_stats_init(r, id, id_len);
    } else if (strcmp(command, "count") == 0) {
        return count(d, first, (unsigned)value, atoll(third));
    } else if (strcmp(command, "log") == 0) {
        return feagi_link_log(d->link, (uint8_t)u32(first), (const uint8_t *)second, strlen(second));
    }
    fprintf(stderr, "not understood: %s\n", command);
    abort();
}

// The frame that the C encoder makes of what `segment`, the bytes between two zeros, says in the session `seed`. Returns its
// length on the wire, which has room for the longest, or a negative error for what is no frame.
int frame_again(const uint8_t *segment, size_t len_bytes, uint32_t seed, uint8_t *wire) {
    uint8_t body[FEAGI_FRAME_LEN_BYTES];
    feagi_frame_in_t in;
    feagi_frame_in_init(&in, body, sizeof body);
    for (size_t i = 0; i < len_bytes; i++) {
        feagi_frame_feed(&in, segment[i]);
    }
    const int got = feagi_frame_feed(&in, 0);
    feagi_frame_t frame;
    if (got <= 0 || feagi_frame_check(body, (size_t)got, seed, &frame)) {
        return FEAGI_ERR_FRAME;
    }
    feagi_frame_out_t out;
    feagi_frame_start(&out, wire, FEAGI_FRAME_LEN_BYTES - 4, frame.kind, frame.seq);
    return reencode(&out, frame.payload, frame.len) ? (int)feagi_frame_finish(&out, seed) : FEAGI_ERR_FRAME;
}
