// Runs the golden vectors of shared_spec/vectors against the core: `vectors frames FILE` and `vectors regions FILE`. Prints the
// lines that fail and a closing count; exits with 1 if any failed or none ran.
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_frame.h"
#include "feagi_hashes.h"
#include "feagi_locks.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_windows.h"

static int ran, failed, line_number;

#define WORDS 12

static size_t from_hex(const char *hex, uint8_t *out, size_t capacity) {
    size_t len = strcmp(hex, "-") == 0 ? 0 : strlen(hex) / 2;
    if (len > capacity) {
        fprintf(stderr, "line %d: longer than %zu bytes\n", line_number, capacity);
        exit(2);
    }
    for (size_t i = 0; i < len; i++) {
        unsigned byte;
        sscanf(hex + 2 * i, "%2x", &byte);
        out[i] = (uint8_t)byte;
    }
    return len;
}

static void check(int ok, const char *what) {
    ran++;
    if (!ok) {
        failed++;
        printf("line %d: %s\n", line_number, what);
    }
}

// ---- Frames

// Feeds the wire's bytes one by one into exactly as much memory as a device has for a frame of this length.
static int decode(const uint8_t *wire, size_t len, uint32_t seed, feagi_frame_t *frame, uint8_t *buf) {
    feagi_frame_in_t in;
    feagi_frame_in_init(&in, buf, FEAGI_FRAME_LEN_BYTES);
    int found = 0;
    for (size_t i = 0; i < len; i++) {
        int got = feagi_frame_feed(&in, wire[i]);
        if (got > 0 && feagi_frame_check(buf, (uint16_t)got, seed, frame) == 0) {
            found++;
        }
    }
    return found;
}

static void run_frame(char **w, int count) {
    uint8_t wire[1024], payload[FEAGI_FRAME_PAYLOAD_BYTES];
    uint8_t *buf = malloc(FEAGI_FRAME_LEN_BYTES); // its own block, so that the sanitizer sees a byte too many
    uint32_t seed = (uint32_t)strtoul(w[2], NULL, 16);
    size_t len = from_hex(w[3], wire, sizeof wire);
    feagi_frame_t frame;
    if (strcmp(w[0], "bad") == 0) {
        check(decode(wire, len, seed, &frame, buf) == 0, "was taken for a frame");
    } else if (count == 7) {
        size_t payload_len = from_hex(w[6], payload, sizeof payload);
        uint8_t kind = (uint8_t)strtoul(w[4], NULL, 16), seq = (uint8_t)strtoul(w[5], NULL, 10);
        check(decode(wire, len, seed, &frame, buf) == 1 && frame.kind == kind && frame.seq == seq && frame.len == payload_len &&
                  memcmp(frame.payload, payload, payload_len) == 0,
              "did not decode to what it says");
        uint8_t *made = malloc(FEAGI_FRAME_WIRE_BYTES);
        feagi_frame_out_t out;
        feagi_frame_start(&out, made, FEAGI_FRAME_LEN_BYTES - 4, kind, seq);
        feagi_frame_put_raw(&out, payload, (uint16_t)payload_len);
        check(!out.full && feagi_frame_finish(&out, seed) == len && memcmp(made, wire, len) == 0, "encoded to something else");
        // Item by item as well, so that the encoder of items is held against the vectors too.
        feagi_frame_start(&out, made, FEAGI_FRAME_LEN_BYTES - 4, kind, seq);
        const uint8_t *at = payload;
        feagi_frame_item_t item;
        while (feagi_frame_next(&at, payload + payload_len, &item) > 0) {
            if (item.major == 0) {
                feagi_frame_put_uint(&out, item.value);
            } else if (item.major == 1 && item.value <= INT32_MAX) {
                feagi_frame_put_int(&out, -1 - (int32_t)item.value);
            } else if (item.major == 1) {
                const size_t head_len = item.value > UINT32_MAX ? 9 : 5;
                feagi_frame_put_raw(&out, at - head_len, head_len); // below what the core's own integers reach
            } else if (item.major == 2) {
                feagi_frame_put_bytes(&out, item.bytes, (uint16_t)item.value);
            } else {
                feagi_frame_put_text(&out, item.bytes, (uint16_t)item.value);
            }
        }
        check(!out.full && feagi_frame_finish(&out, seed) == len && memcmp(made, wire, len) == 0,
              "its items encoded to something else");
        free(made);
    } else {
        check(0, "not understood");
    }
    free(buf);
}

// ---- Regions

static const struct {
    const char *name;
    int number;
} error_names[] = {{"NOT_FOUND", FEAGI_ERR_NOT_FOUND}, {"EXISTS", FEAGI_ERR_EXISTS},       {"FULL", FEAGI_ERR_FULL},
                   {"RANGE", FEAGI_ERR_RANGE},         {"READ_ONLY", FEAGI_ERR_READ_ONLY}, {"LENGTH", FEAGI_ERR_LENGTH},
                   {"OPERATION", FEAGI_ERR_OPERATION}, {"ENCODING", FEAGI_ERR_ENCODING},   {"LOCKED", FEAGI_ERR_LOCKED},
                   {"NOT_OWNER", FEAGI_ERR_NOT_OWNER}};

static const char *const field_names[] = {FIELD_NAMES}; // from the spec, by the build

static unsigned field_of(const char *name) {
    for (unsigned i = 0; i < FEAGI_FIELDS; i++) {
        if (strcmp(name, field_names[i]) == 0) {
            return i;
        }
    }
    fprintf(stderr, "line %d: no field %s\n", line_number, name);
    exit(2);
}

static void say(char *out, int status, uint64_t value) {
    sprintf(out, "%" PRIu64, value);
    for (size_t i = 0; status < 0 && i < sizeof error_names / sizeof *error_names; i++) {
        if (error_names[i].number == status) {
            strcpy(out, error_names[i].name);
        }
    }
}

static feagi_region_t region;
static uint8_t *memory;
static uint8_t *expected;

static void start_region(char **w) {
    static const struct {
        const char *name;
        uint8_t id;
    } names[] = {{"tiny", FEAGI_PROFILE_TINY}, {"micro", FEAGI_PROFILE_MICRO}, {"host", FEAGI_PROFILE_HOST}};
    uint8_t id = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        id = strcmp(names[i].name, w[1]) == 0 ? names[i].id : id;
    }
    free(memory);
    free(expected);
    uint32_t len = feagi_region_len(feagi_region_profile(id));
    memory = malloc(len);
    expected = calloc(1, len);
    memset(memory, 0xa5, len);
    check(feagi_region_init(&region, memory, len - 1, id, 1) == FEAGI_ERR_LENGTH, "made a region in too little memory");
    check(feagi_region_init(&region, memory, len, id, (uint32_t)strtoul(w[2], NULL, 10)) == 0, "could not make the region");
    feagi_region_t again;
    check(feagi_region_attach(&again, memory, len) == 0 && again.pages == region.pages && again.events_at == region.events_at,
          "could not attach to the region");
}

static unsigned index_of(const char *name, const char *const *names, unsigned count) {
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(name, names[i]) == 0) {
            return i;
        }
    }
    fprintf(stderr, "line %d: no %s\n", line_number, name);
    exit(2);
}

static const char *const hash_names[] = {"brain_regions", "cortical_areas",    "brain_geometry",
                                         "morphologies",  "cortical_mappings", "agent_data"};
static const char *const count_names[] = {"neuron_count", "incoming_synapse_count", "outgoing_synapse_count"};

// stat OP ID COUNT AMOUNT
static void run_stat(char **w, char *result) {
    uint8_t id[300];
    int slot = feagi_stats_find(&region, id, from_hex(w[2], id, sizeof id));
    if (slot < 0) {
        say(result, slot, 0);
        return;
    }
    unsigned count = index_of(w[3], count_names, FEAGI_STATS_COUNTS);
    uint32_t at = (uint32_t)slot, amount = (uint32_t)strtoul(w[4], NULL, 10);
    if (strcmp(w[1], "set") == 0) {
        feagi_stats_set(&region, at, count, amount);
    } else if (strcmp(w[1], "add") == 0) {
        check(feagi_stats_add(&region, at, count, amount) == feagi_stats_get(&region, at, count), "add returned something else");
    } else if (strcmp(w[1], "subtract") == 0) {
        check(feagi_stats_subtract(&region, at, count, amount) == feagi_stats_get(&region, at, count),
              "subtract returned something else");
    }
    say(result, 0, feagi_stats_get(&region, at, count));
}

// Operations on hashes, locks, windows and statistics.
static void run_area_operation(char **w, char *result) {
    uint32_t area = w[1] ? (uint32_t)strtoul(w[1], NULL, 10) : 0;
    uint64_t second = w[2] ? strtoull(w[2], NULL, 10) : 0;
    uint8_t id[300];
    if (strcmp(w[0], "set_hash") == 0) {
        feagi_hashes_set(&region, index_of(w[1], hash_names, FEAGI_HASHES_COUNT), second);
        say(result, 0, feagi_hashes_get(&region, index_of(w[1], hash_names, FEAGI_HASHES_COUNT)));
    } else if (strcmp(w[0], "get_hash") == 0) {
        say(result, 0, feagi_hashes_get(&region, index_of(w[1], hash_names, FEAGI_HASHES_COUNT)));
    } else if (strcmp(w[0], "try_lock") == 0) {
        say(result, feagi_locks_try_lock(&region, area, second), 0);
    } else if (strcmp(w[0], "unlock") == 0) {
        say(result, feagi_locks_unlock(&region, area, second), 0);
    } else if (strcmp(w[0], "take_over") == 0) {
        say(result, feagi_locks_take_over(&region, area, second, strtoull(w[3], NULL, 10)), 0);
    } else if (strcmp(w[0], "owner") == 0) {
        say(result, 0, feagi_locks_owner(&region, area));
    } else if (strcmp(w[0], "get_window") == 0) {
        say(result, 0, feagi_windows_get(&region, area));
    } else if (strcmp(w[0], "set_window") == 0) {
        say(result, feagi_windows_set(&region, area, (uint32_t)second), 0);
    } else if (strcmp(w[0], "remove_window") == 0) {
        say(result, 0, (uint64_t)feagi_windows_remove(&region, area));
    } else if (strcmp(w[0], "default_window") == 0) {
        feagi_windows_set_default(&region, area);
        say(result, 0, 0);
    } else if (strcmp(w[0], "init_stats") == 0) {
        int status = feagi_stats_init(&region, id, from_hex(w[1], id, sizeof id));
        say(result, status < 0 ? status : 0, 0);
    } else if (strcmp(w[0], "stat") == 0) {
        run_stat(w, result);
    }
}

static void run_operation(char **w) {
    char result[64] = "not understood";
    uint8_t id[300], text[300];
    uint64_t value = 0;
    const char *expect = "";
    for (int i = 1; i < WORDS && w[i]; i++) {
        if (strcmp(w[i], "=") == 0) {
            expect = w[i + 1];
        }
    }
    if (strcmp(w[0], "set") == 0 || strcmp(w[0], "add") == 0 || strcmp(w[0], "subtract") == 0) {
        unsigned field = field_of(w[1]);
        uint64_t amount = strtoull(w[2], NULL, 10);
        int status = w[0][0] == 'a'   ? feagi_state_add(&region, field, amount, &value)
                     : w[0][1] == 'e' ? feagi_state_set(&region, field, amount, &value)
                                      : feagi_state_subtract(&region, field, amount, &value);
        say(result, status, value);
    } else if (strcmp(w[0], "get") == 0) {
        say(result, 0, feagi_state_get(&region, field_of(w[1])));
    } else if (strcmp(w[0], "register") == 0) {
        uint32_t handle = 0;
        size_t id_len = from_hex(w[1], id, sizeof id), text_len = from_hex(w[3], text, sizeof text);
        int status = feagi_agents_register(&region, id, id_len, (uint8_t)strtoul(w[2], NULL, 10), text, text_len, &handle);
        say(result, status, handle);
    } else if (strcmp(w[0], "deregister") == 0) {
        say(result, feagi_agents_deregister(&region, id, from_hex(w[1], id, sizeof id)), 0);
    } else if (strcmp(w[0], "heartbeat") == 0) {
        say(result, feagi_agents_heartbeat(&region, id, from_hex(w[1], id, sizeof id)), 0);
    } else if (strcmp(w[0], "heartbeat_handle") == 0) {
        say(result, feagi_agents_heartbeat_handle(&region, (uint32_t)strtoul(w[1], NULL, 10)), 0);
    } else if (strcmp(w[0], "evict") == 0) {
        int evicted = feagi_agents_evict(&region, strtoull(w[1], NULL, 10));
        say(result, evicted, (uint64_t)evicted);
    } else if (strcmp(w[0], "event") == 0) {
        say(result, feagi_events_push(&region, (uint16_t)strtoul(w[1], NULL, 10), (uint32_t)strtoul(w[2], NULL, 10)), 0);
    } else if (strcmp(w[0], "pop") == 0) {
        feagi_event_t e;
        strcpy(result, "none");
        if (feagi_events_pop(&region, &e)) {
            sprintf(result, "%u:%" PRIu32 ":%" PRIu32, e.kind, e.arg, e.time_ms);
        }
    } else if (strcmp(w[0], "digest") == 0) {
        sprintf(result, "%" PRIu32, feagi_region_digest(&region));
    } else {
        run_area_operation(w, result);
    }
    if (strcmp(result, expect) != 0) {
        printf("line %d: gave %s\n", line_number, result);
    }
    check(strcmp(result, expect) == 0, "another result");
}

// repeat FIRST COUNT OPERATION...: @ is the number, ~ its decimal digits as a text.
static void run_repeated(char **w) {
    uint32_t first = (uint32_t)strtoul(w[1], NULL, 10), count = (uint32_t)strtoul(w[2], NULL, 10);
    for (uint32_t n = first; n < first + count; n++) {
        char number[12], text[24] = "", *words[WORDS + 1] = {0};
        int digits = sprintf(number, "%" PRIu32, n);
        for (int i = 0; i < digits; i++) {
            sprintf(text + 2 * i, "%02x", number[i]);
        }
        for (int i = 3; w[i]; i++) {
            words[i - 3] = strcmp(w[i], "@") == 0 ? number : strcmp(w[i], "~") == 0 ? text : w[i];
        }
        run_operation(words);
    }
}

static void run_region(char **w) {
    if (strcmp(w[0], "region") == 0) {
        start_region(w);
    } else if (strcmp(w[0], "repeat") == 0) {
        run_repeated(w);
    } else if (strcmp(w[0], "time") == 0) {
        feagi_region_set_time(&region, strtoull(w[1], NULL, 10));
    } else if (strcmp(w[0], "bytes") == 0) {
        uint32_t at = (uint32_t)strtoul(w[1], NULL, 10);
        from_hex(w[2], expected + at, region.len_bytes - at);
    } else if (strcmp(w[0], "rest") == 0) {
        check(memcmp(memory, expected, region.len_bytes) == 0, "the region's bytes differ");
        for (uint32_t i = 0; i < region.len_bytes; i++) {
            if (memory[i] != expected[i]) {
                printf("  first at %" PRIu32 ": %02x, expected %02x\n", i, memory[i], expected[i]);
                break;
            }
        }
    } else {
        run_operation(w);
    }
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: vectors frames|regions FILE\n");
        return 2;
    }
    FILE *file = fopen(argv[2], "r");
    if (!file) {
        fprintf(stderr, "%s: %s\n", argv[2], strerror(errno));
        return 2;
    }
    static char line[4096];
    while (fgets(line, sizeof line, file)) {
        line_number++;
        char *words[WORDS + 1] = {0};
        int count = 0;
        for (char *w = strtok(line, " \n"); w && count < WORDS; w = strtok(NULL, " \n")) {
            words[count++] = w;
        }
        if (count == 0 || words[0][0] == '#') {
            continue;
        }
        if (strcmp(argv[1], "frames") == 0) {
            run_frame(words, count);
        } else {
            run_region(words);
        }
    }
    fclose(file);
    free(memory);
    free(expected);
    printf("%d checks, %d failed\n", ran, failed);
    return failed || !ran;
}
