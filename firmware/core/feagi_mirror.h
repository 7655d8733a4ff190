// A mirror: memory in which a host keeps a copy of a device's region, so that any process that maps it can read.
//
//     region | feagi_mirror_t trailer | uint32_t page_sequence[256] | shadow copy of the region
//
// One owner writes, any number of readers read, from other threads and processes. No reader ever waits for the owner, and an
// owner that stops or dies in the middle of a publication leaves every page readable: a page is published with a sequence
// number and a shadow. While page_sequence is odd the region's page is being written and the shadow has its last whole
// version; while it is even the region's page is whole and the shadow may be catching up.
//
// The caller owns all memory. A feagi_mirror_map_t is a handle that was checked once; no access trusts the memory's own
// header afterwards.
#ifndef FEAGI_MIRROR_H
#define FEAGI_MIRROR_H

#include "feagi_region.h"

#define FEAGI_MIRROR_PAGES 256u     // sequence numbers in a mirror
#define FEAGI_MIRROR_READ_TRIES 64u // tries of feagi_mirror_load; see there

typedef struct {
    feagi_region_t region;
    feagi_mirror_t *trailer;
    uint32_t *page_sequence; // [FEAGI_MIRROR_PAGES]
    uint8_t *shadow;         // [region.len_bytes]
} feagi_mirror_map_t;

// A run of words of one page, as a delta carries it (frames.cddl).
typedef struct {
    const uint8_t *data;
    uint32_t len_bytes; // 1..FEAGI_PAGE_LEN_BYTES; the last word's missing bytes are zero
    int32_t word;       // distance from the core block; the header's words are negative
} feagi_run_t;

// Bytes of the mirror of a region of this length. 0 if that does not fit 32 bits. Any context.
uint32_t feagi_mirror_len(uint32_t region_len_bytes);

// Makes a new mirror in `mem` (aligned to 8, at least feagi_mirror_len bytes). `image`: a region's header, or a whole region
// whose pages are taken over; the events section starts empty. Set-up only: nobody else may see the memory yet.
// Returns 0, FEAGI_ERR_LAYOUT (the image has no valid header, or more than FEAGI_MIRROR_PAGES pages) or FEAGI_ERR_LENGTH.
int feagi_mirror_init(feagi_mirror_map_t *m, void *mem, size_t len_bytes, const uint8_t *image, size_t image_len_bytes);

// Makes a handle to a mirror that is there already. Checks everything: nothing in the memory can lead an access outside of
// mem[0, len_bytes). Writes nothing, so the memory may be read-only. Set-up only.
// Returns 0, FEAGI_ERR_LAYOUT (no mirror, or one of another layout) or FEAGI_ERR_LENGTH (too short or misaligned).
int feagi_mirror_attach(feagi_mirror_map_t *m, void *mem, size_t len_bytes);

// For a new owner of a mirror whose last owner may have died at any instruction: makes every page and its shadow whole and
// equal. A page that was being published has its last whole version again. Readers may go on reading. Owner only.
void feagi_mirror_take_over(feagi_mirror_map_t *m);

// Publishes a whole page (`bytes`: its length as feagi_region_page gives it). Readers see the old page or the new one. Owner
// only. Returns 0, or FEAGI_ERR_LAYOUT without a change for a page that is not there or a header that would move the sections.
int feagi_mirror_publish(feagi_mirror_map_t *m, uint32_t page, const uint8_t *bytes);

// Applies a delta: every page in it is published once, all of its runs together. `touched`: bit p % 32 of touched[p / 32]
// is set for every page p that was published. Owner only.
// Returns 0, or a negative error without any change: FEAGI_ERR_RANGE (a run that is not within one page, runs of a page that
// do not rise, or a page that comes back after another) or FEAGI_ERR_LAYOUT (see feagi_mirror_publish).
int feagi_mirror_apply(feagi_mirror_map_t *m, const feagi_run_t *runs, uint32_t count, uint32_t touched[FEAGI_MIRROR_PAGES / 32]);

// Copies a page's whole version to `out` (FEAGI_PAGE_LEN_BYTES). Never waits. Any reader.
// Returns true, or false if the page was published meanwhile and the copy is of no use: call again.
bool feagi_mirror_read(const feagi_mirror_map_t *m, uint32_t page, uint8_t *out);

// How often a page was published, mod 2^31: what is read between two equal answers is of one version. Any reader.
uint32_t feagi_mirror_page_version(const feagi_mirror_map_t *m, uint32_t page);

// The value of 1, 2, 4 or 8 bytes at `offset` of the region, which must be a multiple of its size and within a page. Never
// torn, wait-free, and never older than what feagi_mirror_read gave before. Any reader.
uint64_t feagi_mirror_load(const feagi_mirror_map_t *m, uint32_t offset, uint32_t size_bytes);

// Adds an event to the mirror's ring, over the oldest if it is full; feagi_events_read reads it. Owner only.
void feagi_mirror_push_event(feagi_mirror_map_t *m, uint16_t kind, uint32_t arg, uint32_t time_ms);

// CRC-32 of the mirror's pages, as LINK.md's DIGEST gives it for the device's. Owner only: between publications.
uint32_t feagi_mirror_digest(const feagi_mirror_map_t *m);

#endif
