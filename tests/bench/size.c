// How long regions are and where their sections begin, as the core itself lays them out: for each profile a line
// `PROFILE_ID REGION_LEN`, and behind it a line `PROFILE_ID SECTION_NUMBER OFFSET` for each section. size.py has the names.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "feagi_region.h"

int main(void) {
    for (uint8_t profile = 1; profile <= FEAGI_PROFILES; profile++) {
        uint32_t len_bytes = feagi_region_len(feagi_region_profile(profile));
        feagi_header_t *header = calloc(1, len_bytes);
        feagi_region_t region;
        int status = header ? feagi_region_init(&region, header, len_bytes, profile, 1) : FEAGI_ERR_LENGTH;
        if (status) {
            fprintf(stderr, "profile %u: the core says %d\n", profile, status);
            return 1;
        }
        printf("%u %" PRIu32 "\n", profile, len_bytes);
        for (unsigned i = 0; i < FEAGI_SECTION_SLOTS; i++) {
            if (header->sections[i].offset) {
                printf("%u %u %" PRIu32 "\n", profile, i, header->sections[i].offset);
            }
        }
        free(header);
    }
    return 0;
}
