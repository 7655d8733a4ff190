// Between the files of the MicroPython module, and what differs between the module as a native .mpy (natmod.c) and in a firmware
// (usermod.c): where its names and its memory are, and what it has of the board.
//
// The module's other half is _feagi_state.py: exceptions, what a failure says, and what returns lists.
#ifndef FEAGI_MODULE_H
#define FEAGI_MODULE_H

#include "feagi_names.h"

#include "feagi_link.h"
#include "feagi_region.h"

// ---- Names

// The methods and functions that C has: name, least and most arguments (self is not counted), kinds of the first three of them,
// and of the result (feagi_values.h). In this order: StateManager's, Link's, the module's.
#define FEAGI_METHODS(METHOD)                                                                                                    \
    METHOD(ADD, MP_QSTR_add, 2, 2, OBJECT, U64, OBJECT, NUMBER)                                                                  \
    METHOD(SUBTRACT, MP_QSTR_subtract, 2, 2, OBJECT, U64, OBJECT, NUMBER)                                                        \
    METHOD(REGISTER_AGENT, MP_QSTR_register_agent, 1, 3, AGENT_ID, U64, METADATA, NUMBER)                                        \
    METHOD(DEREGISTER_AGENT, MP_QSTR_deregister_agent, 1, 1, TEXT, OBJECT, OBJECT, OBJECT)                                       \
    METHOD(HEARTBEAT, MP_QSTR_heartbeat, 1, 1, OBJECT, OBJECT, OBJECT, OBJECT)                                                   \
    METHOD(EVICT_STALE, MP_QSTR_evict_stale, 1, 1, U64, OBJECT, OBJECT, NUMBER)                                                  \
    METHOD(TRY_LOCK, MP_QSTR_try_lock, 1, 2, U32, U64, OBJECT, BOOL)                                                             \
    METHOD(UNLOCK, MP_QSTR_unlock, 1, 2, U32, U64, OBJECT, OBJECT)                                                               \
    METHOD(TAKE_OVER, MP_QSTR_take_over, 3, 3, U32, U64, U64, OBJECT)                                                            \
    METHOD(IS_LOCKED, MP_QSTR_is_locked, 1, 1, U32, OBJECT, OBJECT, BOOL)                                                        \
    METHOD(LOCK_OWNER, MP_QSTR_lock_owner, 1, 1, U32, OBJECT, OBJECT, NUMBER)                                                    \
    METHOD(GET_FCL_WINDOW, MP_QSTR_get_fcl_window, 1, 1, U32, OBJECT, OBJECT, NUMBER)                                            \
    METHOD(SET_FCL_WINDOW, MP_QSTR_set_fcl_window, 2, 2, OBJECT, U32, OBJECT, OBJECT)                                            \
    METHOD(REMOVE_FCL_WINDOW, MP_QSTR_remove_fcl_window, 1, 1, U32, OBJECT, OBJECT, BOOL)                                        \
    METHOD(INIT_AREA_STATS, MP_QSTR_init_area_stats, 1, 1, AREA_ID, OBJECT, OBJECT, OBJECT)                                      \
    METHOD(SET_AREA_STATS, MP_QSTR_set_area_stats, 2, 4, TEXT, OBJECT, OBJECT, OBJECT)                                           \
    METHOD(CHANGE_AREA_STATS, MP_QSTR_change_area_stats, 2, 4, TEXT, OBJECT, OBJECT, OBJECT)                                     \
    METHOD(EMIT, MP_QSTR_emit, 1, 2, U32, U32, OBJECT, BOOL)                                                                     \
    METHOD(POP_EVENT, MP_QSTR_pop_event, 0, 0, OBJECT, OBJECT, OBJECT, OBJECT)                                                   \
    METHOD(EVENTS_REJECTED, MP_QSTR_events_rejected, 0, 0, OBJECT, OBJECT, OBJECT, NUMBER)                                       \
    METHOD(DIGEST, MP_QSTR_digest, 0, 0, OBJECT, OBJECT, OBJECT, NUMBER)                                                         \
    METHOD(TICK, MP_QSTR_tick, 0, 1, U64, OBJECT, OBJECT, OBJECT)                                                                \
    METHOD(READINTO, MP_QSTR_readinto, 1, 2, OBJECT, U32, OBJECT, NUMBER)                                                        \
    METHOD(POLL, MP_QSTR_poll, 0, 0, OBJECT, OBJECT, OBJECT, BOOL)                                                               \
    METHOD(LOG, MP_QSTR_log, 2, 2, U32, TEXT, OBJECT, BOOL)                                                                      \
    METHOD(INSTANCE, MP_QSTR__instance, 0, 0, OBJECT, OBJECT, OBJECT, OBJECT)                                                    \
    METHOD(FRAME_ENCODE, MP_QSTR_frame_encode, 4, 4, U32, U32, TEXT, OBJECT)                                                     \
    METHOD(FRAME_DECODE, MP_QSTR_frame_decode, 2, 2, TEXT, U32, OBJECT, OBJECT)                                                  \
    METHOD(SCHEMA_HASH, MP_QSTR_schema_hash, 0, 0, OBJECT, OBJECT, OBJECT, NUMBER)

#define FEAGI_ENUMERATOR(name, qstr, ...) FEAGI_METHOD_##name,
enum { FEAGI_METHODS(FEAGI_ENUMERATOR) FEAGI_METHOD_COUNT };

// What C has of _feagi_state.py: its _for_c.
enum {
    FEAGI_HELPER_FAIL,      // (status, about, ...) raises
    FEAGI_HELPER_PROFILE,   // (name) is a profile's id
    FEAGI_HELPER_POLLER,    // (stream, what) is select.poll's method for it
    FEAGI_HELPER_IS_PROMPT, // (stream) is whether a prompt reads it too
    FEAGI_HELPER_TICKS_US,  // time.ticks_us
    FEAGI_HELPER_MANAGER,   // dict of StateManager's attributes; C adds its methods
    FEAGI_HELPER_LINK,      // of Link's
    FEAGI_HELPER_GLOBALS,   // of the module's; C adds types and functions
    FEAGI_HELPER_COUNT
};

// All names, by index: attributes of a state (feagi_names.h), methods, and these.
#define FEAGI_WORDS(WORD)                                                                                                        \
    WORD(STATE_MANAGER, MP_QSTR_StateManager)                                                                                    \
    WORD(LINK, MP_QSTR_Link)                                                                                                     \
    WORD(UP, MP_QSTR_up)                                                                                                         \
    WORD(SESSION, MP_QSTR_session)                                                                                               \
    WORD(REJECTED, MP_QSTR_rejected)                                                                                             \
    WORD(METHOD, MP_QSTR_method)                                                                                                 \
    WORD(START, MP_QSTR__start)
#define FEAGI_WORD(name, qstr) FEAGI_NAME_##name,
enum {
    FEAGI_NAME_METHODS = FEAGI_NAMES,
    FEAGI_NAME_WORDS = FEAGI_NAME_METHODS + FEAGI_METHOD_COUNT,
    FEAGI_NAME_BEFORE_WORDS = FEAGI_NAME_WORDS - 1,
    FEAGI_WORDS(FEAGI_WORD) FEAGI_NAME_COUNT
};

// ---- Memory

#define FEAGI_MODULE_FOUND 32u

// What the module has made at its import.
typedef struct {
    mp_obj_full_type_t manager_type, link_type, method_type;
    mp_obj_base_t methods[FEAGI_METHOD_COUNT]; // a method's object is one of these: its place says which it is
    uint32_t found[FEAGI_MODULE_FOUND];   // by the name's last bits: a name << 8, and what feagi_manager_attribute said of it
    mp_obj_t helpers[FEAGI_HELPER_COUNT]; // of _feagi_state.py
} feagi_module_t;
extern feagi_module_t feagi_module_memory;

// An address that the compiler knows nothing of, so that it adds offsets to it as the program runs. In an address of the object
// file's literals, on Xtensa, mpy_ld.py would lose them.
#define FEAGI_HIDDEN(pointer) __asm__("" : "+r"(pointer))

static inline feagi_module_t *feagi_module(void) {
    feagi_module_t *module = &feagi_module_memory;
    FEAGI_HIDDEN(module);
    return module;
}

#if MICROPY_ENABLE_DYNRUNTIME
// mpy_ld.py's table of names has them in the order in which natmod_names.py has numbered them, from 1 on.
static inline const qstr_short_t *feagi_module_names(void) {
    const qstr_short_t *names = mp_native_qstr_table;
    FEAGI_HIDDEN(names);
    return names + 1;
}
#else
extern const qstr_short_t feagi_names[FEAGI_NAME_COUNT];
static inline const qstr_short_t *feagi_module_names(void) {
    return feagi_names;
}
#endif
static inline qstr feagi_name(unsigned index) {
    return feagi_module_names()[index];
}

typedef struct {
    mp_obj_base_t base;
    feagi_region_t region;
    void *memory;     // as allocated; the region is aligned inside
    uint32_t *dirty;  // where a link tracks changes, or NULL before there is a link
    const void *link; // the link object that serves it; only compared
    uint64_t now_us, now_ms;
    mp_uint_t last_ticks;
    uint32_t odd_us;  // since the last whole millisecond
    bool manual_time; // tick(ms) was used: the clock is the application's
} feagi_manager_t;

// ---- Of natmod.c and usermod.c

// time.ticks_us(), which wraps.
mp_uint_t feagi_module_ticks_us(void);

// A number that differs at every start.
uint32_t feagi_module_entropy(void);

// The program's one state.
feagi_manager_t *feagi_module_instance(void);

// ---- Of the other files

// Makes types and methods, and adds them to these dicts of _feagi_state.py: its _start(*_for_c).
mp_obj_t feagi_start(size_t count, const mp_obj_t *helpers);

// Makes a state whose region is in `memory`, aligned to FEAGI_SECTION_ALIGN_BYTES.
void feagi_manager_start(feagi_manager_t *self, void *memory, uint32_t len_bytes, uint8_t profile, uint32_t boot_id);

// A state with a region of its own. Without a boot id (0) it is made here.
feagi_manager_t *feagi_manager_new(uint8_t profile, uint32_t boot_id);

// Brings the clock up to date. ticks_us wraps (after 18 minutes on 32 bits), so it must run at least once in that time.
void feagi_manager_update_clock(feagi_manager_t *self);

// Index of the name of a state's attribute, or FEAGI_NAMES and the number of a method.
#define FEAGI_NAMES_AND_METHODS (FEAGI_NAMES + FEAGI_METHOD_POLL)
unsigned feagi_manager_attribute(qstr name);

// Slots of the types.
mp_obj_t feagi_manager_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
void feagi_manager_attr(mp_obj_t self, qstr attr, mp_obj_t *dest);
mp_int_t feagi_manager_buffer(mp_obj_t self, mp_buffer_info_t *info, mp_uint_t flags);
mp_obj_t feagi_server_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args);
void feagi_server_attr(mp_obj_t self, qstr attr, mp_obj_t *dest);
bool feagi_server_poll(void *self);
bool feagi_server_log(void *self, uint32_t level, const uint8_t *text, size_t len_bytes, mp_obj_t about);
mp_obj_t feagi_methods_call(mp_obj_t method, size_t n_args, size_t n_kw, const mp_obj_t *args);

#endif
