// The device's role of the link as a process, for tests that play the host and the line: a command a line on standard input, an
// answer a line on standard output. Time is what the test says.
//
//   tick MS | keep_clock | take_text | rx HEX | out (answers HEX) | set FIELD VALUE | add FIELD AMOUNT | register ID | deregister
//   ID | heartbeat ID | evict MS | event KIND ARG | hash INDEX VALUE | lock AREA OWNER | unlock AREA OWNER | window AREA WINDOW
//   (or remove) | stat ID | count ID COUNT AMOUNT (negative subtracts) | region (answers HEX) | rejected | session
//
// `device PROFILE BOOT_ID`; FIELD is an index of feagi_fields, INDEX a FEAGI_HASHES_*, COUNT a FEAGI_STATS_*; ids are in hex.
#include <inttypes.h>
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

static feagi_region_t region;
static feagi_link_t *link_state;

static size_t from_hex(const char *hex, uint8_t *out, size_t capacity) {
    size_t len = 0;
    for (; hex[0] && hex[1] && len < capacity; hex += 2) {
        unsigned byte;
        sscanf(hex, "%2x", &byte);
        out[len++] = (uint8_t)byte;
    }
    return len;
}

static void print_hex(const uint8_t *data, size_t len) {
    for (size_t i = 0; i < len; i++) {
        printf("%02x", data[i]);
    }
}

static uint32_t u32(const char *text) {
    return (uint32_t)strtoul(text, NULL, 10);
}

static void count(const uint8_t *id, size_t len, unsigned which, long long amount) {
    int slot = feagi_stats_find(&region, id, len);
    if (slot < 0) {
        printf("%d", slot);
    } else if (amount < 0) {
        printf("%" PRIu32, feagi_stats_subtract(&region, (uint32_t)slot, which, (uint32_t)-amount));
    } else {
        printf("%" PRIu32, feagi_stats_add(&region, (uint32_t)slot, which, (uint32_t)amount));
    }
}

static void run(char *command, char *first, char *second, char *third) {
    static uint8_t bytes[65536];
    if (strcmp(command, "tick") == 0) {
        uint64_t ms = strtoull(first, NULL, 10);
        feagi_region_set_time(&region, ms);
        feagi_link_tick(link_state, ms, ms * 1000);
    } else if (strcmp(command, "rx") == 0) {
        // In a block of its own length, so that the sanitizer sees a byte read too far.
        size_t len = from_hex(first, bytes, sizeof bytes);
        uint8_t *exact = malloc(len ? len : 1);
        memcpy(exact, bytes, len);
        feagi_link_receive(link_state, exact, len);
        free(exact);
    } else if (strcmp(command, "out") == 0) {
        const uint8_t *data;
        size_t len;
        for (int frames = 0; frames < 8 && (len = feagi_link_output(link_state, &data)) > 0; frames++) {
            print_hex(data, len);
            feagi_link_sent(link_state, len);
        }
    } else if (strcmp(command, "set") == 0) {
        printf("%d", feagi_state_set(&region, (unsigned)atoi(first), strtoull(second, NULL, 10), NULL));
    } else if (strcmp(command, "add") == 0) {
        printf("%d", feagi_state_add(&region, (unsigned)atoi(first), strtoull(second, NULL, 10), NULL));
    } else if (strcmp(command, "register") == 0) {
        printf("%d", feagi_agents_register(&region, bytes, from_hex(first, bytes, sizeof bytes), 0, NULL, 0, NULL));
    } else if (strcmp(command, "deregister") == 0) {
        printf("%d", feagi_agents_deregister(&region, bytes, from_hex(first, bytes, sizeof bytes)));
    } else if (strcmp(command, "heartbeat") == 0) {
        printf("%d", feagi_agents_heartbeat(&region, bytes, from_hex(first, bytes, sizeof bytes)));
    } else if (strcmp(command, "evict") == 0) {
        printf("%d", feagi_agents_evict(&region, strtoull(first, NULL, 10)));
    } else if (strcmp(command, "keep_clock") == 0) {
        link_state->keep_clock = true;
    } else if (strcmp(command, "take_text") == 0) {
        feagi_link_take_text(link_state);
    } else if (strcmp(command, "event") == 0) {
        printf("%d", feagi_events_push(&region, (uint16_t)atoi(first), (uint32_t)strtoul(second, NULL, 10)));
    } else if (strcmp(command, "hash") == 0) {
        feagi_hashes_set(&region, (unsigned)atoi(first), strtoull(second, NULL, 10));
    } else if (strcmp(command, "lock") == 0) {
        printf("%d", feagi_locks_try_lock(&region, u32(first), strtoull(second, NULL, 10)));
    } else if (strcmp(command, "unlock") == 0) {
        printf("%d", feagi_locks_unlock(&region, u32(first), strtoull(second, NULL, 10)));
    } else if (strcmp(command, "window") == 0) {
        bool own = strcmp(second, "remove") != 0;
        printf("%d", own ? feagi_windows_set(&region, u32(first), u32(second)) : feagi_windows_remove(&region, u32(first)));
    } else if (strcmp(command, "stat") == 0) {
        printf("%d", feagi_stats_init(&region, bytes, from_hex(first, bytes, sizeof bytes)));
    } else if (strcmp(command, "count") == 0) {
        count(bytes, from_hex(first, bytes, sizeof bytes), (unsigned)atoi(second), atoll(third));
    } else if (strcmp(command, "region") == 0) {
        print_hex(region.base, region.len_bytes);
    } else if (strcmp(command, "rejected") == 0) {
        printf("%" PRIu32, link_state->rejected);
    } else if (strcmp(command, "session") == 0) {
        printf("%" PRIu32 " %d", link_state->session, link_state->up);
    } else {
        fprintf(stderr, "not understood: %s\n", command);
        exit(2);
    }
    printf("\n");
    fflush(stdout);
}

int main(int argc, char **argv) {
    if (argc != 3) {
        fprintf(stderr, "usage: device PROFILE BOOT_ID\n");
        return 2;
    }
    uint8_t profile = (uint8_t)atoi(argv[1]);
    uint32_t boot_id = (uint32_t)strtoul(argv[2], NULL, 10);
    uint32_t len = feagi_region_len(feagi_region_profile(profile));
    link_state = malloc(sizeof *link_state);
    void *memory = malloc(len);
    if (feagi_region_init(&region, memory, len, profile, boot_id)) {
        return 2;
    }
    uint32_t *dirty = malloc(feagi_region_dirty_words(&region) * sizeof *dirty);
    if (feagi_link_init(link_state, &region, dirty, "device", boot_id)) {
        return 2;
    }
    static char line[200000];
    while (fgets(line, sizeof line, stdin)) {
        char *words[4] = {"", "", "", ""};
        char *word = strtok(line, " \n");
        for (unsigned i = 0; word && i < 4; i++, word = strtok(NULL, " \n")) {
            words[i] = word;
        }
        if (*words[0]) {
            run(words[0], words[1], words[2], words[3]);
        }
    }
    free(link_state);
    free(memory);
    free(dirty);
    return 0;
}
