// Between Python's objects and C's numbers and texts.
#ifndef FEAGI_VALUES_H
#define FEAGI_VALUES_H

#include "feagi_module.h"

// Kinds of argument.
enum {
    FEAGI_VALUES_OBJECT,   // anything, or nothing
    FEAGI_VALUES_U32,      // an int of 0 to 2^32-1; also a bool
    FEAGI_VALUES_U64,      // the same to 2^64-1
    FEAGI_VALUES_TEXT,     // a text of any length, as anything that has bytes
    FEAGI_VALUES_AGENT_ID, // one that an agent may have as its id
    FEAGI_VALUES_AREA_ID,  // or an area
    FEAGI_VALUES_METADATA, // or an agent as its metadata; None is none
    FEAGI_VALUES_NAME,     // or a device as its name
};

// Kinds of result, besides FEAGI_VALUES_OBJECT.
enum { FEAGI_VALUES_NUMBER = 1, FEAGI_VALUES_BOOL };

// An argument, as its kind has it.
typedef union {
    uint64_t number;
    struct {
        const uint8_t *text;
        size_t len_bytes;
    };
} feagi_value_t;

// What is wrong besides what the core says, as _feagi_state.py has it.
enum {
    FEAGI_VALUES_NO_TEXT = -101,
    FEAGI_VALUES_NO_MANAGER = -102,
    FEAGI_VALUES_NO_AREA = -103,
    FEAGI_VALUES_TOO_MANY_PAGES = -104,
    FEAGI_VALUES_OTHER_LINK = -105,
    FEAGI_VALUES_STREAM = -106, // about an errno
};

// Raises what a status means; `about` is what it is about.
void feagi_values_fail(int status, mp_obj_t about) __attribute__((noreturn));

// The same if the status is below 0.
void feagi_values_check(int status, mp_obj_t about);

// An int of so many bits at most. Raises TypeError or ValueError.
uint64_t feagi_values_number(mp_obj_t o, unsigned bits);

// An int's object.
mp_obj_t feagi_values_new_number(uint64_t value);

// An argument of a kind; the region says how long metadata may be. Raises TypeError or ValueError.
feagi_value_t feagi_values_take(mp_obj_t o, unsigned kind, const feagi_region_t *r);

#endif
