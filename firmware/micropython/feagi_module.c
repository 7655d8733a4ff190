// The MicroPython module feagi_state over the core. Included by natmod.c and usermod.c, which differ only in how they register
// it.
//
// Nothing here allocates but what returns a text, a tuple, a float or an int beyond the port's small ints, and the constructors.
#include "feagi_module.h"

#include "py/binary.h"
#include "py/mperrno.h"
#include "py/objstr.h"
#include "py/smallint.h"
#include "py/stream.h"

#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_frame.h"
#include "feagi_hashes.h"
#include "feagi_image.h"
#include "feagi_link.h"
#include "feagi_locks.h"
#include "feagi_names.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_text.h"
#include "feagi_windows.h"

// A poll that began so long ago was left by an exception in the stream: the next one takes over.
#define POLL_ABANDONED_MS 1000u
// What one poll does at most, so that it never keeps the program long.
#define POLL_BYTES FEAGI_LINK_RXBUF_BYTES // all that a host may have under way
#define POLL_FRAMES 8

typedef struct {
    mp_obj_base_t base;
    feagi_region_t region;
    void *memory;     // as allocated; the region is aligned inside
    uint32_t *dirty;  // feagi_region_dirty_words() for a link, or NULL before there is one
    const void *link; // the link_obj_t that serves it; only compared
    uint64_t now_us, now_ms;
    mp_uint_t last_ticks;
    uint32_t odd_us;  // since the last whole millisecond
    bool manual_time; // tick(ms) was used: the clock is the application's
} state_obj_t;

// One direction of a link's stream.
typedef struct {
    mp_obj_t stream;
    const mp_stream_p_t *protocol;
    mp_obj_t wait_poll; // select.poll's method where the stream is a file descriptor, else MP_OBJ_NULL
    uintptr_t what;     // MP_STREAM_POLL_RD or _WR
} port_t;

typedef struct {
    mp_obj_base_t base;
    state_obj_t *state;
    mp_obj_t name;
    port_t in, out;
    uint32_t busy_since;
    bool busy;
    feagi_link_t link;
} link_obj_t;

// ---- Errors and numbers

static __attribute__((noreturn)) void raise_with(const mp_obj_type_t *type, const char *format, size_t count,
                                                 const mp_obj_t *about) {
    size_t len = 0;
    while (format[len]) {
        len++;
    }
    mp_obj_t args = mp_obj_new_tuple(count, about);
    mp_raise_type_arg(type, mp_binary_op(MP_BINARY_OP_MODULO, mp_obj_new_str(format, len), args));
    for (;;) {
    }
}

static __attribute__((noreturn)) void raise_about(const mp_obj_type_t *type, const char *format, mp_obj_t about) {
    raise_with(type, format, 1, &about);
}

// Raises the exception of a negative status; `about` is the value, field or id that the call named.
static void check(int status, mp_obj_t about) {
    if (status >= 0) {
        return;
    }
    switch (status) {
        case FEAGI_ERR_NOT_FOUND:
            raise_about(FEAGI_AGENT_NOT_FOUND, "no agent %r is registered", about);
        case FEAGI_ERR_EXISTS:
            raise_about(FEAGI_AGENT_ALREADY_REGISTERED, "agent %r is registered already", about);
        case FEAGI_ERR_FULL:
            raise_about(FEAGI_CAPACITY_ERROR, "no room for %r: the table is full", about);
        case FEAGI_ERR_RANGE:
            raise_about(&mp_type_ValueError, "%r is out of the field's range", about);
        case FEAGI_ERR_READ_ONLY:
            raise_about(FEAGI_ATTRIBUTE_ERROR, "%s is kept by feagi_state and cannot be written", about);
        case FEAGI_ERR_OPERATION:
            raise_about(&mp_type_TypeError, "%s takes no add or subtract", about);
        case FEAGI_ERR_NOT_OWNER:
            raise_about(FEAGI_NOT_LOCK_OWNER, "area %r is not locked by this owner", about);
        default: // FEAGI_ERR_ENCODING: lengths are looked at before a call, by text_within
            raise_about(&mp_type_ValueError, "%r is not UTF-8", about);
    }
}

// An int as u64. Bools are taken too; a float is a TypeError, a negative or larger int a ValueError.
static uint64_t number_of(mp_obj_t o) {
    if (mp_obj_is_small_int(o) || mp_obj_get_type(o) != &mp_type_int) {
        mp_int_t small = mp_obj_get_int(o);
        check(small < 0 ? FEAGI_ERR_RANGE : 0, o);
        return (uint64_t)small;
    }
    // A long int: there is no C function for it that native modules could call, so ask the interpreter.
    mp_obj_t high = mp_binary_op(MP_BINARY_OP_RSHIFT, o, MP_OBJ_NEW_SMALL_INT(64));
    check(mp_obj_is_true(high) ? FEAGI_ERR_RANGE : 0, o);
    uint64_t value;
    mp_binary_set_val_array('Q', &value, 0, o);
    return value;
}

static mp_obj_t new_number(uint64_t value) {
    if (value <= MP_SMALL_INT_MAX) {
        return MP_OBJ_NEW_SMALL_INT((mp_int_t)value);
    }
    return mp_binary_get_val_array('Q', &value, 0);
}

static const uint8_t *text_of(mp_obj_t o, size_t *len) {
    mp_buffer_info_t info;
    if (!mp_get_buffer(o, &info, MP_BUFFER_READ)) {
        raise_about(&mp_type_TypeError, "expected a text, not %r", o);
    }
    *len = info.len;
    return info.buf;
}

// A text of so many bytes; of another length it is a ValueError.
static const uint8_t *text_within(mp_obj_t o, size_t least, size_t most, size_t *len) {
    const uint8_t *text = text_of(o, len);
    if (*len < least || *len > most) {
        const mp_obj_t about[] = {o, MP_OBJ_NEW_SMALL_INT((mp_int_t)*len), MP_OBJ_NEW_SMALL_INT((mp_int_t)least),
                                  MP_OBJ_NEW_SMALL_INT((mp_int_t)most)};
        raise_with(&mp_type_ValueError, "%r is %d bytes long, it should be %d to %d", 4, about);
    }
    return text;
}

// ---- StateManager: clock

// Brings the clock up to date. The ticks wrap (after 18 minutes on 32 bits), so it must run at least once in that time.
static void update_clock(state_obj_t *self) {
    mp_uint_t ticks = FEAGI_TICKS_US();
    mp_uint_t passed = (ticks - self->last_ticks) & MP_SMALL_INT_POSITIVE_MASK;
    self->last_ticks = ticks;
    self->now_us += passed;
    while (passed) { // in parts that 32 bits hold: where ints are longer, ticks may go on for hours between two calls
        const uint32_t part = passed < 1u << 30 ? (uint32_t)passed : 1u << 30;
        self->now_ms += feagi_port_divide(self->odd_us + part, 1000, &self->odd_us);
        passed -= part;
    }
    if (!self->manual_time) {
        feagi_region_set_time(&self->region, self->now_ms);
    }
}

static mp_obj_t state_tick(size_t n_args, const mp_obj_t *args) {
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    if (n_args > 1) {
        self->manual_time = true;
        feagi_region_set_time(&self->region, number_of(args[1]));
    }
    update_clock(self);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_tick_obj, 1, 2, state_tick);

// ---- StateManager: making one

// instance() -> the program's one state; natmod.c and usermod.c keep it, each its own way.
static mp_obj_t state_instance(size_t n_args, const mp_obj_t *args);
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_instance_obj, 0, 1, state_instance);

static uint8_t profile_of(mp_obj_t name) {
    size_t len;
    const uint8_t *text = text_of(name, &len);
    static const char names[][8] = {"", "tiny", "micro", "host"}; // by id
    for (uint8_t id = FEAGI_PROFILE_TINY; id <= FEAGI_PROFILE_HOST; id++) {
        size_t n = 0;
        while (names[id][n]) {
            n++;
        }
        if (n == len && feagi_port_equal(names[id], text, len)) {
            return id;
        }
    }
    raise_about(&mp_type_ValueError, "no profile %r; there are 'tiny', 'micro' and 'host'", name);
}

// Makes a state whose region is in `memory`, aligned to FEAGI_SECTION_ALIGN_BYTES.
static void state_start(state_obj_t *self, void *memory, uint32_t len_bytes, uint8_t profile, uint32_t boot_id) {
    feagi_names_fill(FEAGI_NAME_QSTRS);
    self->dirty = NULL;
    self->link = NULL;
    self->now_us = self->now_ms = 0;
    self->odd_us = 0;
    self->manual_time = false;
    self->last_ticks = FEAGI_TICKS_US();
    check(feagi_region_init(&self->region, memory, len_bytes, profile, boot_id), mp_const_none);
}

// A state with a region of its own. Without a boot id (0) it is made here.
static state_obj_t *new_state(uint8_t profile, uint32_t boot_id) {
    const uint32_t len = feagi_region_len(feagi_region_profile(profile));
    state_obj_t *self = mp_obj_malloc(state_obj_t, FEAGI_STATE_TYPE);
    // The heap gives 16 bytes of alignment at most; a region wants its sections on cache lines.
    self->memory = m_malloc(len + FEAGI_SECTION_ALIGN_BYTES - 1);
    uintptr_t at = ((uintptr_t)self->memory + FEAGI_SECTION_ALIGN_BYTES - 1) & ~(uintptr_t)(FEAGI_SECTION_ALIGN_BYTES - 1);
    state_start(self, (void *)at, len, profile, boot_id ? boot_id : feagi_link_mix(FEAGI_ENTROPY(), (uint32_t)at));
    return self;
}

static mp_obj_t state_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    (void)type; // it has no subclasses
    mp_arg_check_num(n_args, n_kw, 0, 2, false);
    uint8_t profile = n_args > 0 ? profile_of(args[0]) : FEAGI_PROFILE_MICRO;
    return MP_OBJ_FROM_PTR(new_state(profile, n_args > 1 ? (uint32_t)number_of(args[1]) : 0));
}

// ---- StateManager: fields

// Index of an attribute: a field, or behind the fields a hash.
static int attribute_named(qstr name) {
    for (unsigned i = 0; i < FEAGI_NAMES; i++) {
        if (FEAGI_NAME_QSTRS[i] == name) {
            return (int)i;
        }
    }
    return FEAGI_ERR_FIELD;
}

static mp_obj_t attribute_value(state_obj_t *self, unsigned field) {
    if (field >= FEAGI_NAMES_HASHES) {
        return new_number(feagi_hashes_get(&self->region, field - FEAGI_NAMES_HASHES));
    }
    uint64_t value = feagi_state_get(&self->region, field);
    if (feagi_fields[field].type == FEAGI_TYPE_F32) {
        // By its bytes: a float argument would tie the module to one floating-point ABI.
        uint32_t bits = (uint32_t)value;
        return mp_binary_get_val_array('f', &bits, 0);
    }
    if (feagi_fields[field].type == FEAGI_TYPE_BOOL) {
        return mp_obj_new_bool(value);
    }
    return new_number(value);
}

static uint64_t value_for(unsigned field, mp_obj_t o) {
    if (feagi_fields[field].type == FEAGI_TYPE_F32) {
        uint32_t bits;
        mp_binary_set_val_array('f', &bits, 0, o);
        return bits;
    }
    return number_of(o);
}

static void set_attribute(state_obj_t *self, unsigned field, qstr name, mp_obj_t value) {
    if (field >= FEAGI_NAMES_HASHES) {
        feagi_hashes_set(&self->region, field - FEAGI_NAMES_HASHES, number_of(value));
        return;
    }
    int status = feagi_state_set(&self->region, field, value_for(field, value), NULL);
    check(status, status == FEAGI_ERR_READ_ONLY ? MP_OBJ_NEW_QSTR(name) : value);
}

static void state_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    const feagi_header_t *header = (const feagi_header_t *)(const void *)self->region.base;
    int field = attribute_named(attr);
    if (dest[0] == MP_OBJ_NULL) {
        if (field >= 0) {
            dest[0] = attribute_value(self, (unsigned)field);
        } else if (attr == MP_QSTR_boot_id) {
            dest[0] = new_number(header->boot_id);
        } else if (attr == MP_QSTR_unix_time) {
            dest[0] = mp_obj_new_bool(header->flags & FEAGI_FLAG_UNIX_TIME);
        } else {
            dest[1] = MP_OBJ_SENTINEL; // a method, then
        }
    } else if (field >= 0 && dest[1] != MP_OBJ_NULL) {
        set_attribute(self, (unsigned)field, attr, dest[1]);
        dest[0] = MP_OBJ_NULL; // done
    }
}

// The field whose name is this text. Names in a program's source are the same objects as ours; others are compared.
static unsigned field_of(mp_obj_t name) {
    size_t len, own_len;
    const uint8_t *text = text_of(name, &len);
    for (unsigned i = 0; i < FEAGI_FIELDS; i++) {
        mp_obj_t own = MP_OBJ_NEW_QSTR(FEAGI_NAME_QSTRS[i]);
        if (own == name) {
            return i;
        }
        const uint8_t *own_text = text_of(own, &own_len);
        if (own_len == len && feagi_port_equal(own_text, text, len)) {
            return i;
        }
    }
    raise_about(FEAGI_ATTRIBUTE_ERROR, "the core block has no field %r", name);
}

static mp_obj_t change(const mp_obj_t *args, bool down) {
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    unsigned field = field_of(args[1]);
    uint64_t amount = number_of(args[2]), stored;
    int status = down ? feagi_state_subtract(&self->region, field, amount, &stored)
                      : feagi_state_add(&self->region, field, amount, &stored);
    check(status, status == FEAGI_ERR_RANGE ? args[2] : args[1]);
    return new_number(stored);
}

static mp_obj_t state_add(mp_obj_t self, mp_obj_t field, mp_obj_t amount) {
    mp_obj_t args[] = {self, field, amount};
    return change(args, false);
}
static MP_DEFINE_CONST_FUN_OBJ_3(state_add_obj, state_add);

static mp_obj_t state_subtract(mp_obj_t self, mp_obj_t field, mp_obj_t amount) {
    mp_obj_t args[] = {self, field, amount};
    return change(args, true);
}
static MP_DEFINE_CONST_FUN_OBJ_3(state_subtract_obj, state_subtract);

// ---- StateManager: agents

static mp_obj_t state_register_agent(size_t n_args, const mp_obj_t *args) {
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    size_t id_len, metadata_len = 0;
    const uint8_t *id = text_within(args[1], 1, FEAGI_AGENT_ID_LEN_BYTES, &id_len), *metadata = id;
    uint64_t type = n_args > 2 ? number_of(args[2]) : FEAGI_AGENT_TYPE_SENSORY;
    if (n_args > 3 && args[3] != mp_const_none) {
        metadata = text_within(args[3], 0, self->region.agents.entry_len - sizeof(feagi_agent_t), &metadata_len);
    }
    uint32_t handle = 0;
    int status = feagi_agents_register(&self->region, id, id_len, type > UINT8_MAX ? UINT8_MAX : (uint8_t)type, metadata,
                                       metadata_len, &handle);
    bool metadata_is_wrong = status == FEAGI_ERR_ENCODING && feagi_text_valid(id, id_len);
    check(status, status == FEAGI_ERR_RANGE ? args[2] : metadata_is_wrong ? args[3] : args[1]);
    return new_number(handle);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_register_agent_obj, 2, 4, state_register_agent);

static mp_obj_t state_deregister_agent(mp_obj_t self_in, mp_obj_t id_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    size_t len;
    const uint8_t *id = text_of(id_in, &len);
    check(feagi_agents_deregister(&self->region, id, len), id_in);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_deregister_agent_obj, state_deregister_agent);

// An int below 2^32.
static uint32_t u32_of(mp_obj_t o) {
    uint64_t value = number_of(o);
    check(value > UINT32_MAX ? FEAGI_ERR_RANGE : 0, o);
    return (uint32_t)value;
}

// heartbeat(agent_id) or heartbeat(handle)
static mp_obj_t state_heartbeat(mp_obj_t self_in, mp_obj_t agent) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_buffer_info_t id;
    check(mp_get_buffer(agent, &id, MP_BUFFER_READ) ? feagi_agents_heartbeat(&self->region, id.buf, id.len)
                                                    : feagi_agents_heartbeat_handle(&self->region, u32_of(agent)),
          agent);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_heartbeat_obj, state_heartbeat);

static mp_obj_t state_evict_stale(mp_obj_t self_in, mp_obj_t older_than_ms) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return MP_OBJ_NEW_SMALL_INT(feagi_agents_evict(&self->region, number_of(older_than_ms)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_evict_stale_obj, state_evict_stale);

// The namedtuple AgentInfo, made when the first agent is asked for; it lives as long as the module.
static mp_obj_t agent_info_type(void) {
    if (FEAGI_AGENT_INFO == MP_OBJ_NULL) {
        const mp_obj_t names[] = {MP_OBJ_NEW_QSTR(MP_QSTR_agent_id),      MP_OBJ_NEW_QSTR(MP_QSTR_agent_type),
                                  MP_OBJ_NEW_QSTR(MP_QSTR_registered_at), MP_OBJ_NEW_QSTR(MP_QSTR_last_seen),
                                  MP_OBJ_NEW_QSTR(MP_QSTR_metadata),      MP_OBJ_NEW_QSTR(MP_QSTR_handle)};
        mp_obj_t args[] = {MP_OBJ_NEW_QSTR(MP_QSTR_AgentInfo), mp_obj_new_tuple(6, names)};
        mp_obj_t collections = mp_import_name(MP_QSTR_collections, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
        FEAGI_AGENT_INFO = mp_call_function_n_kw(mp_load_attr(collections, MP_QSTR_namedtuple), 2, 0, args);
    }
    return FEAGI_AGENT_INFO;
}

static mp_obj_t agent_info_at(state_obj_t *self, uint32_t slot) {
    const feagi_agent_t *a = feagi_agents_slot(&self->region, slot);
    mp_obj_t values[] = {mp_obj_new_str((const char *)a->id, a->id_len),
                         MP_OBJ_NEW_SMALL_INT(a->agent_type),
                         new_number(a->registered_at),
                         new_number(feagi_port_load_u64(&a->last_seen)),
                         mp_obj_new_str((const char *)feagi_agents_metadata(a), a->metadata_len),
                         new_number(feagi_agents_handle(&self->region, slot))};
    return mp_call_function_n_kw(agent_info_type(), 6, 0, values);
}

static mp_obj_t state_get_agent(mp_obj_t self_in, mp_obj_t id_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    size_t len;
    const uint8_t *id = text_of(id_in, &len);
    int slot = feagi_agents_find(&self->region, id, len);
    check(slot, id_in);
    return agent_info_at(self, (uint32_t)slot);
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_get_agent_obj, state_get_agent);

static mp_obj_t state_get_agents(mp_obj_t self_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (uint32_t slot = 0; slot < self->region.agents.capacity; slot++) {
        if (feagi_agents_slot(&self->region, slot)->state == FEAGI_AGENT_SLOT_STATE_REGISTERED) {
            mp_obj_list_append(list, agent_info_at(self, slot));
        }
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_1(state_get_agents_obj, state_get_agents);

// ---- StateManager: cortical areas

// A lock's owner: 1 unless given.
static uint64_t owner_of(size_t n_args, const mp_obj_t *args) {
    uint64_t owner = n_args > 2 ? number_of(args[2]) : 1;
    check(owner ? 0 : FEAGI_ERR_RANGE, n_args > 2 ? args[2] : mp_const_none);
    return owner;
}

static mp_obj_t state_try_lock(size_t n_args, const mp_obj_t *args) {
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    int status = feagi_locks_try_lock(&self->region, u32_of(args[1]), owner_of(n_args, args));
    if (status != FEAGI_ERR_LOCKED) {
        check(status, args[1]);
    }
    return mp_obj_new_bool(status == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_try_lock_obj, 2, 3, state_try_lock);

static mp_obj_t state_unlock(size_t n_args, const mp_obj_t *args) {
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    check(feagi_locks_unlock(&self->region, u32_of(args[1]), owner_of(n_args, args)), args[1]);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_unlock_obj, 2, 3, state_unlock);

// take_over(area, old_owner, new_owner)
static mp_obj_t state_take_over(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    check(feagi_locks_take_over(&self->region, u32_of(args[1]), number_of(args[2]), number_of(args[3])), args[1]);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_take_over_obj, 4, 4, state_take_over);

static mp_obj_t state_lock_owner(mp_obj_t self_in, mp_obj_t area) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return new_number(feagi_locks_owner(&self->region, u32_of(area)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_lock_owner_obj, state_lock_owner);

static mp_obj_t state_is_locked(mp_obj_t self_in, mp_obj_t area) {
    return mp_obj_new_bool(mp_obj_is_true(state_lock_owner(self_in, area)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_is_locked_obj, state_is_locked);

static mp_obj_t state_get_locked_areas(mp_obj_t self_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t list = mp_obj_new_list(0, NULL);
    for (uint32_t i = 0; i < self->region.locks.capacity; i++) {
        uint32_t area;
        uint64_t owner;
        if (feagi_locks_at(&self->region, i, &area, &owner)) {
            mp_obj_list_append(list, new_number(area));
        }
    }
    return list;
}
static MP_DEFINE_CONST_FUN_OBJ_1(state_get_locked_areas_obj, state_get_locked_areas);

static mp_obj_t state_get_fcl_window(mp_obj_t self_in, mp_obj_t area) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return new_number(feagi_windows_get(&self->region, u32_of(area)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_get_fcl_window_obj, state_get_fcl_window);

static mp_obj_t state_set_fcl_window(mp_obj_t self_in, mp_obj_t area, mp_obj_t window) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (area == mp_const_none) {
        feagi_windows_set_default(&self->region, u32_of(window));
    } else {
        check(feagi_windows_set(&self->region, u32_of(area), u32_of(window)), area);
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_3(state_set_fcl_window_obj, state_set_fcl_window);

static mp_obj_t state_remove_fcl_window(mp_obj_t self_in, mp_obj_t area) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return mp_obj_new_bool(feagi_windows_remove(&self->region, u32_of(area)));
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_remove_fcl_window_obj, state_remove_fcl_window);

static mp_obj_t state_get_fcl_windows(mp_obj_t self_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    mp_obj_t dict = mp_obj_new_dict(0);
    for (uint32_t i = 0; i < self->region.windows.capacity; i++) {
        uint32_t area, window;
        if (feagi_windows_at(&self->region, i, &area, &window)) {
            mp_obj_dict_store(dict, new_number(area), new_number(window));
        }
    }
    return dict;
}
static MP_DEFINE_CONST_FUN_OBJ_1(state_get_fcl_windows_obj, state_get_fcl_windows);

static mp_obj_t state_init_area_stats(mp_obj_t self_in, mp_obj_t id_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    size_t len;
    const uint8_t *id = text_within(id_in, 1, FEAGI_AREA_ID_LEN_BYTES, &len);
    check(feagi_stats_init(&self->region, id, len), id_in);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_init_area_stats_obj, state_init_area_stats);

static __attribute__((noreturn)) void raise_no_stats(mp_obj_t id_in) {
    raise_about(FEAGI_AREA_NOT_FOUND, "no statistics of area %r", id_in);
}

// (neurons, incoming synapses, outgoing synapses)
static mp_obj_t state_get_area_stats(mp_obj_t self_in, mp_obj_t id_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    size_t len;
    const uint8_t *id = text_of(id_in, &len);
    int slot = feagi_stats_find(&self->region, id, len);
    if (slot < 0) {
        raise_no_stats(id_in);
    }
    mp_obj_t values[FEAGI_STATS_COUNTS];
    for (unsigned count = 0; count < FEAGI_STATS_COUNTS; count++) {
        values[count] = new_number(feagi_stats_get(&self->region, (uint32_t)slot, count));
    }
    return mp_obj_new_tuple(FEAGI_STATS_COUNTS, values);
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_get_area_stats_obj, state_get_area_stats);

// Adds each of the counts that are given, or subtracts what is negative; with `set` stores it.
static mp_obj_t write_area_stats(size_t n_args, const mp_obj_t *args, bool set) {
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    feagi_stats_change_t changes[FEAGI_STATS_COUNTS];
    for (size_t i = 0; i < FEAGI_STATS_COUNTS; i++) {
        changes[i].kind = FEAGI_STATS_KEEP;
        if (2 + i < n_args) {
            mp_obj_t amount = args[2 + i];
            bool down = !set && mp_obj_is_true(mp_binary_op(MP_BINARY_OP_LESS, amount, MP_OBJ_NEW_SMALL_INT(0)));
            changes[i].kind = set ? FEAGI_STATS_SET : down ? FEAGI_STATS_SUBTRACT : FEAGI_STATS_ADD;
            changes[i].value = u32_of(down ? mp_unary_op(MP_UNARY_OP_NEGATIVE, amount) : amount);
        }
    }
    size_t len;
    const uint8_t *id = text_of(args[1], &len);
    if (feagi_stats_update(&self->region, id, len, changes)) {
        raise_no_stats(args[1]);
    }
    return mp_const_none;
}

// change_area_stats(id, neurons, incoming=0, outgoing=0)
static mp_obj_t state_change_area_stats(size_t n_args, const mp_obj_t *args) {
    return write_area_stats(n_args, args, false);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_change_area_stats_obj, 3, 5, state_change_area_stats);

// set_area_stats(id, neurons, incoming=as it is, outgoing=as it is)
static mp_obj_t state_set_area_stats(size_t n_args, const mp_obj_t *args) {
    return write_area_stats(n_args, args, true);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_set_area_stats_obj, 3, 5, state_set_area_stats);

// ---- StateManager: events and bytes

static mp_obj_t state_emit(size_t n_args, const mp_obj_t *args) {
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    uint64_t kind = number_of(args[1]), arg = n_args > 2 ? number_of(args[2]) : 0;
    if (kind < FEAGI_USER_EVENT_BASE || kind > UINT16_MAX) {
        raise_about(&mp_type_ValueError, "event kind %r is not in 256..65535", args[1]);
    }
    check(arg > UINT32_MAX ? FEAGI_ERR_RANGE : 0, n_args > 2 ? args[2] : mp_const_none);
    return mp_obj_new_bool(feagi_events_push(&self->region, (uint16_t)kind, (uint32_t)arg) == 0);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_emit_obj, 2, 3, state_emit);

static mp_obj_t state_pop_event(mp_obj_t self_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    feagi_event_t event;
    if (!feagi_events_pop(&self->region, &event)) {
        return mp_const_none;
    }
    mp_obj_t values[] = {MP_OBJ_NEW_SMALL_INT(event.kind), new_number(event.arg), new_number(event.time_ms)};
    return mp_obj_new_tuple(3, values);
}
static MP_DEFINE_CONST_FUN_OBJ_1(state_pop_event_obj, state_pop_event);

static mp_obj_t state_events_rejected(mp_obj_t self_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return new_number(feagi_events_rejected(&self->region));
}
static MP_DEFINE_CONST_FUN_OBJ_1(state_events_rejected_obj, state_events_rejected);

static mp_obj_t state_digest(mp_obj_t self_in) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    return new_number(feagi_region_digest(&self->region));
}
static MP_DEFINE_CONST_FUN_OBJ_1(state_digest_obj, state_digest);

// memoryview(state) and bytes(state) are the region, read-only: writes go through the fields, which mark what changed.
static mp_int_t state_get_buffer(mp_obj_t self_in, mp_buffer_info_t *info, mp_uint_t flags) {
    state_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (flags & MP_BUFFER_WRITE) {
        return 1;
    }
    info->buf = self->region.base;
    info->len = self->region.len_bytes;
    info->typecode = 'B';
    return 0;
}

// ---- StateManager: saved states

// Calls a function of feagi_files.py, which reads and writes files, and has the words for what is wrong with one.
static mp_obj_t by_files(qstr function, mp_obj_t first, mp_obj_t second) {
    mp_obj_t files = mp_import_name(MP_QSTR_feagi_files, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
    const mp_obj_t args[] = {first, second};
    return mp_call_function_n_kw(mp_load_attr(files, function), 2, 0, args);
}

// save() -> the image; save(path), save(buffer)
static mp_obj_t state_save(size_t n_args, const mp_obj_t *args) {
    state_obj_t *self = MP_OBJ_TO_PTR(args[0]);
    if (n_args > 1) {
        return by_files(MP_QSTR_save, args[0], args[1]);
    }
    update_clock(self);
    const uint32_t len = feagi_image_len(&self->region);
    void *image = m_malloc(len);
    feagi_image_save(&self->region, image);
    return mp_obj_new_bytearray_by_ref(len, image);
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(state_save_obj, 1, 2, state_save);

// Restores a state, or a new one (None), from a path or buffer. Returns the state.
static mp_obj_t restored(mp_obj_t state, mp_obj_t source) {
    if (mp_obj_get_type(source) == &mp_type_str) {
        return by_files(MP_QSTR_restore, state, source);
    }
    size_t len;
    const feagi_image_t *image = (const void *)text_of(source, &len);
    mp_buffer_info_t info;
    // Memory that somebody writes images to may be longer than they are.
    if (len >= sizeof *image && (uintptr_t)image % 8 == 0 && image->len_bytes < len - sizeof *image &&
        mp_get_buffer(source, &info, MP_BUFFER_WRITE)) {
        len = sizeof *image + image->len_bytes;
    }
    feagi_region_t saved;
    int wrong = feagi_image_open(&saved, image, (uint32_t)len);
    if (!wrong) {
        if (state == mp_const_none) {
            state = MP_OBJ_FROM_PTR(new_state(((const feagi_header_t *)(const void *)saved.base)->profile, 0));
        }
        state_obj_t *self = MP_OBJ_TO_PTR(state);
        update_clock(self);
        wrong = feagi_image_restore(&self->region, &saved);
    }
    return wrong ? by_files(MP_QSTR_refuse, MP_OBJ_NEW_SMALL_INT(wrong), source) : state;
}

// restore(path), restore(buffer)
static mp_obj_t state_restore(mp_obj_t self, mp_obj_t source) {
    (void)restored(self, source);
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(state_restore_obj, state_restore);

// load(path), load(buffer) -> a new state
static mp_obj_t state_load(mp_obj_t source) {
    return restored(mp_const_none, source);
}
static MP_DEFINE_CONST_FUN_OBJ_1(state_load_obj, state_load);

// ---- Link

// MicroPython's unix port tells whether a file is ready through select.poll only. (A list is allocated at every call there.)
static mp_obj_t poll_of_file(mp_obj_t stream, uintptr_t what) {
    mp_obj_t select = mp_import_name(MP_QSTR_select, mp_const_none, MP_OBJ_NEW_SMALL_INT(0));
    mp_obj_t poller = mp_call_function_n_kw(mp_load_attr(select, MP_QSTR_poll), 0, 0, NULL);
    mp_obj_t args[] = {stream, MP_OBJ_NEW_SMALL_INT((mp_int_t)what)};
    mp_call_function_n_kw(mp_load_attr(poller, MP_QSTR_register), 2, 0, args);
    return mp_load_attr(poller, MP_QSTR_poll);
}

static void open_port(port_t *port, mp_obj_t stream, int operation, uintptr_t what) {
    int error;
    port->stream = stream;
    port->protocol = mp_get_stream_raise(stream, operation);
    port->wait_poll = MP_OBJ_NULL;
    port->what = what;
    if (port->protocol->ioctl && port->protocol->ioctl(stream, MP_STREAM_POLL, what, &error) == MP_STREAM_ERROR &&
        port->protocol->ioctl(stream, MP_STREAM_GET_FILENO, 0, &error) != MP_STREAM_ERROR) {
        port->wait_poll = poll_of_file(stream, what);
    }
}

// Whether a read or write would not wait. A stream that cannot tell is taken for one that never waits.
static bool ready(const port_t *port) {
    int error;
    if (port->wait_poll != MP_OBJ_NULL) {
        mp_obj_t zero = MP_OBJ_NEW_SMALL_INT(0);
        return mp_obj_is_true(mp_call_function_n_kw(port->wait_poll, 1, 0, &zero));
    }
    if (!port->protocol->ioctl) {
        return true;
    }
    mp_uint_t flags = port->protocol->ioctl(port->stream, MP_STREAM_POLL, port->what, &error);
    return flags == MP_STREAM_ERROR || (flags & port->what);
}

// Link(stream, state=instance, name=None, out=stream)
static mp_obj_t link_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 4, false);
    mp_obj_t state = n_args > 1 && args[1] != mp_const_none ? args[1] : state_instance(0, NULL);
    if (mp_obj_get_type(state) != FEAGI_STATE_TYPE) {
        raise_about(&mp_type_TypeError, "expected a StateManager, not %r", state);
    }
    link_obj_t *self = mp_obj_malloc(link_obj_t, type);
    self->state = MP_OBJ_TO_PTR(state);
    self->name = n_args > 2 ? args[2] : mp_const_none;
    self->busy = false;
    open_port(&self->in, args[0], MP_STREAM_OP_READ, MP_STREAM_POLL_RD);
    open_port(&self->out, n_args > 3 && args[3] != mp_const_none ? args[3] : args[0], MP_STREAM_OP_WRITE, MP_STREAM_POLL_WR);
    feagi_region_t *region = &self->state->region;
    if (!self->state->dirty) {
        self->state->dirty = m_malloc(feagi_region_dirty_words(region) * sizeof(uint32_t));
    }
    const char *name = NULL;
    if (self->name != mp_const_none) {
        size_t len;
        (void)text_within(self->name, 0, FEAGI_DEVICE_NAME_LEN_BYTES, &len);
        name = mp_obj_str_get_str(self->name); // ends with a zero byte, and lasts for as long as self->name holds it
    }
    uint32_t boot_id = ((feagi_header_t *)(void *)region->base)->boot_id;
    int status = feagi_link_init(&self->link, region, self->state->dirty, name, feagi_link_mix(boot_id, FEAGI_ENTROPY()));
    if (status == FEAGI_ERR_LENGTH) {
        raise_about(&mp_type_ValueError, "a region of %d pages; a link carries 64", MP_OBJ_NEW_SMALL_INT(region->pages));
    }
    check(status, self->name);
    self->state->link = self;
    return MP_OBJ_FROM_PTR(self);
}

static void check_stream(int error) {
    // Not mp_is_nonblocking_error: what that means depends on the firmware's configuration, which a native module does not see.
    if (error != MP_EAGAIN) {
        mp_raise_OSError(error);
    }
}

static void poll_in(link_obj_t *self) {
    int error = 0;
    uint8_t bytes[32];
    // A file gives what it has. Of others some wait until all bytes are there that were asked for, so they are asked for one.
    size_t most = self->in.wait_poll != MP_OBJ_NULL ? sizeof bytes : 1;
    for (size_t sum = 0; sum < POLL_BYTES && ready(&self->in);) {
        mp_uint_t got = self->in.protocol->read(self->in.stream, bytes, most, &error);
        if (got == MP_STREAM_ERROR) {
            check_stream(error);
            return;
        }
        if (got == 0) {
            return;
        }
        feagi_link_receive(&self->link, bytes, got);
        sum += got;
    }
}

static void poll_out(link_obj_t *self) {
    const uint8_t *data;
    int error = 0;
    for (int i = 0; i < POLL_FRAMES; i++) {
        size_t len = feagi_link_output(&self->link, &data);
        if (!len || !ready(&self->out)) {
            return;
        }
        mp_uint_t took = self->out.protocol->write(self->out.stream, data, len, &error);
        if (took == MP_STREAM_ERROR) {
            check_stream(error);
            return;
        }
        feagi_link_sent(&self->link, took);
        if (took < len) {
            return;
        }
    }
}

// Serves the link, of which a state has one, the last that was made: takes what arrived, sends what is due, never waits. True
// while a host has a session.
static mp_obj_t link_poll(mp_obj_t self_in) {
    link_obj_t *self = MP_OBJ_TO_PTR(self_in);
    state_obj_t *state = self->state;
    if (state->link != self) {
        mp_raise_msg(FEAGI_STATE_ERROR, MP_ERROR_TEXT("another Link serves this state now"));
    }
    update_clock(state);
    uint32_t now = (uint32_t)state->now_ms;
    // A scheduled callback may poll while a poll of the main program is inside its stream: leave that one alone.
    if (self->busy && now - self->busy_since < POLL_ABANDONED_MS) {
        return mp_obj_new_bool(self->link.up);
    }
    self->busy = true;
    self->busy_since = now;
    feagi_link_tick(&self->link, state->now_ms, state->now_us);
    self->link.keep_clock = state->manual_time;
    poll_in(self);
    poll_out(self);
    self->busy = false;
    return mp_obj_new_bool(self->link.up);
}
static MP_DEFINE_CONST_FUN_OBJ_1(link_poll_obj, link_poll);

static void link_attr(mp_obj_t self_in, qstr attr, mp_obj_t *dest) {
    link_obj_t *self = MP_OBJ_TO_PTR(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        return; // nothing to store
    }
    if (attr == MP_QSTR_up) {
        dest[0] = mp_obj_new_bool(self->link.up);
    } else if (attr == MP_QSTR_session) {
        dest[0] = new_number(self->link.session);
    } else if (attr == MP_QSTR_rejected) {
        dest[0] = new_number(self->link.rejected);
    } else {
        dest[1] = MP_OBJ_SENTINEL;
    }
}

// ---- Frames, for tools and tests

// frame_encode(kind, seq, payload, session) -> bytes with both delimiters
static mp_obj_t frame_encode(size_t n_args, const mp_obj_t *args) {
    (void)n_args;
    uint8_t wire[FEAGI_FRAME_WIRE_BYTES];
    size_t len;
    const uint8_t *payload = text_within(args[2], 0, FEAGI_FRAME_PAYLOAD_BYTES, &len);
    feagi_frame_out_t out;
    feagi_frame_start(&out, wire, FEAGI_FRAME_LEN_BYTES - 4, (uint8_t)number_of(args[0]), (uint8_t)number_of(args[1]));
    feagi_frame_put_raw(&out, payload, (uint16_t)len);
    return mp_obj_new_bytes(wire, feagi_frame_finish(&out, (uint32_t)number_of(args[3])));
}
static MP_DEFINE_CONST_FUN_OBJ_VAR_BETWEEN(frame_encode_obj, 4, 4, frame_encode);

// frame_decode(wire, session) -> (kind, seq, payload) of the first valid frame in the bytes, or None
static mp_obj_t frame_decode(mp_obj_t wire_in, mp_obj_t session_in) {
    uint8_t buf[FEAGI_FRAME_LEN_BYTES];
    size_t len;
    const uint8_t *wire = text_of(wire_in, &len);
    uint32_t session = (uint32_t)number_of(session_in);
    feagi_frame_in_t in;
    feagi_frame_in_init(&in, buf, sizeof buf);
    while (len--) {
        feagi_frame_t frame;
        int got = feagi_frame_feed(&in, *wire++);
        if (got > 0 && feagi_frame_check(buf, (uint16_t)got, session, &frame) == 0) {
            mp_obj_t values[] = {MP_OBJ_NEW_SMALL_INT(frame.kind), MP_OBJ_NEW_SMALL_INT(frame.seq),
                                 mp_obj_new_bytes(frame.payload, frame.len)};
            return mp_obj_new_tuple(3, values);
        }
    }
    return mp_const_none;
}
static MP_DEFINE_CONST_FUN_OBJ_2(frame_decode_obj, frame_decode);

// schema_hash() -> int. A function, since a 32-bit port cannot keep an int of this size in ROM.
static mp_obj_t schema_hash(void) {
    return new_number(FEAGI_SCHEMA_HASH);
}
static MP_DEFINE_CONST_FUN_OBJ_0(schema_hash_obj, schema_hash);
