// A saved region: feagi_image_t, then the region's bytes up to its events section, the same on every target.
//
// On a device, where one context changes the agents: that one saves and restores. What others write meanwhile is in the image or
// not, page by page; and after a restore a task that knew a slot of the statistics looks for it again. (Shared regions:
// feagi_shared_restore.)
#ifndef FEAGI_IMAGE_H
#define FEAGI_IMAGE_H

#include "feagi_region.h"

// What is wrong with an image.
enum {
    FEAGI_IMAGE_GOOD = 0,
    FEAGI_IMAGE_HEADER,    // no region of this layout, or one of another length
    FEAGI_IMAGE_CORE,      // a field of the core block is out of its range
    FEAGI_IMAGE_AGENTS,    // an agent's slot or agent_count
    FEAGI_IMAGE_AREAS,     // a slot of the locks or windows
    FEAGI_IMAGE_STATS,     // a slot of the statistics
    FEAGI_IMAGE_ALIGNMENT, // it does not lie at a multiple of 8
    FEAGI_IMAGE_MAGIC,     // no image
    FEAGI_IMAGE_FORMAT,    // one of another version of feagi_image_t
    FEAGI_IMAGE_LENGTH,    // it is shorter or longer than what was saved
    FEAGI_IMAGE_CRC,       // its bytes are not those that were saved
    FEAGI_IMAGE_PROFILE,   // it is of a region with another profile
};

// Whether region[0, events_at) in `mem` (aligned to 8, `len_bytes` long) may become a region: its header is of this layout,
// fields are in their ranges, texts are UTF-8, every entry is where a search finds it, and agent_count is right. Nothing in the
// bytes leads an access outside of them. About 10 us for 5 kB on a host. Any context.
// Returns FEAGI_IMAGE_GOOD to _STATS.
int feagi_image_check(const void *mem, uint32_t len_bytes);

// Bytes of an image of this region. Any context.
uint32_t feagi_image_len(const feagi_region_t *r);

// Makes an image of what was copied behind its head: a region's first `len_bytes`. `mem` is aligned to 8. Any context.
void feagi_image_seal(void *mem, uint32_t len_bytes, uint64_t saved_at_ms);

// Writes an image of a region, feagi_image_len(r) bytes, to `mem` (aligned to 8): all but the events that nobody has taken. One
// critical section a page; about 50 instructions a byte as a whole. Producer only.
void feagi_image_save(const feagi_region_t *r, void *mem);

// Looks at an image in `mem`, with every check that the host makes: its head, its CRC, and feagi_image_check. If it is
// good, *saved is a handle to the region in it, for reading its fields, agents, areas and statistics, but for its events. Any
// context. Returns FEAGI_IMAGE_GOOD or what is wrong.
int feagi_image_open(feagi_region_t *saved, const void *mem, uint32_t len_bytes);

// Makes a region what was saved, as a sequence of writes that a link carries like any others. Fields, hashes, agents, windows and
// statistics are replaced, and what changes pushes its events. version and last_modified go on; locks stay: their owners live
// here. Agents that stay keep their handles; those that come are registered, and seen, now. One critical section a page, and
// those of feagi_state_set, feagi_agents_register and feagi_agents_deregister. Producer only. Returns FEAGI_IMAGE_GOOD or
// FEAGI_IMAGE_PROFILE, which changes nothing.
int feagi_image_restore(feagi_region_t *r, const feagi_region_t *saved);

#endif
