// A saved region: feagi_image_t, then the region's bytes up to its events section, the same on every target.
#ifndef FEAGI_IMAGE_H
#define FEAGI_IMAGE_H

#include "feagi_region.h"

// What is wrong with an image's region: the result of feagi_image_check.
enum {
    FEAGI_IMAGE_GOOD = 0,
    FEAGI_IMAGE_HEADER, // no region of this layout, or one of another length
    FEAGI_IMAGE_CORE,   // a field of the core block is out of its range
    FEAGI_IMAGE_AGENTS, // an agent's slot or agent_count
    FEAGI_IMAGE_AREAS,  // a slot of the locks or windows
    FEAGI_IMAGE_STATS,  // a slot of the statistics
};

// Whether region[0, events_at) in `mem` (aligned to 8, `len_bytes` long) may become a region: its header is of this layout,
// fields are in their ranges, texts are UTF-8, every entry is where a search finds it, and agent_count is right. Nothing in the
// bytes leads an access outside of them. About 10 us for 5 kB on a host. Any context.
int feagi_image_check(const void *mem, uint32_t len_bytes);

#endif
