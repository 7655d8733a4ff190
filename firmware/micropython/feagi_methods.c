// One function behind all methods: it takes their arguments by a table, and does as the method says.
#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_frame.h"
#include "feagi_locks.h"
#include "feagi_module.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_values.h"
#include "feagi_windows.h"

#define ARGUMENTS 3 // that a row of the table says the kinds of

typedef struct {
    uint16_t kinds; // 4 bits each: of the arguments, the first one lowest, and of the result
    uint8_t least, most;
} signature_t;
#define SIGNATURE(name, qstr, least, most, first, second, third, result)                                                         \
    {FEAGI_VALUES_##first | FEAGI_VALUES_##second << 4 | FEAGI_VALUES_##third << 8 | FEAGI_VALUES_##result << 12, least, most},
static const signature_t signatures[] = {FEAGI_METHODS(SIGNATURE)};

// The field whose name is this text. Names in a program's source are the same objects as ours; others are compared, after these.
static unsigned field_named(mp_obj_t name) {
    for (unsigned i = 0; i < 2 * FEAGI_FIELDS; i++) {
        const unsigned field = i < FEAGI_FIELDS ? i : i - FEAGI_FIELDS;
        const mp_obj_t own = MP_OBJ_NEW_QSTR(feagi_name(field));
        if (own == name || (i != field && mp_binary_op(MP_BINARY_OP_EQUAL, own, name) == mp_const_true)) {
            return field;
        }
    }
    feagi_values_fail(FEAGI_ERR_FIELD, name);
}

// heartbeat(agent_id), heartbeat(handle)
static int heartbeat_of(feagi_region_t *r, mp_obj_t agent) {
    mp_buffer_info_t id;
    return mp_get_buffer(agent, &id, MP_BUFFER_READ) ? feagi_agents_heartbeat(r, id.buf, id.len)
                                                     : feagi_agents_heartbeat_handle(r, (uint32_t)feagi_values_number(agent, 32));
}

// set_area_stats(id, neurons, incoming=as it is, outgoing=as it is), change_area_stats(id, neurons, incoming=0, outgoing=0),
// which subtracts what is negative
static void write_area_stats(feagi_region_t *r, const feagi_value_t *id, size_t n_args, const mp_obj_t *args, bool set) {
    feagi_stats_change_t changes[FEAGI_STATS_COUNTS];
    feagi_port_clear(changes, sizeof changes); // FEAGI_STATS_KEEP
    for (size_t i = 1; i < n_args; i++) {
        mp_obj_t amount = args[i];
        uint8_t kind = set ? FEAGI_STATS_SET : FEAGI_STATS_ADD;
        if (!set && mp_binary_op(MP_BINARY_OP_LESS, amount, MP_OBJ_NEW_SMALL_INT(0)) == mp_const_true) {
            amount = mp_unary_op(MP_UNARY_OP_NEGATIVE, amount);
            kind = FEAGI_STATS_SUBTRACT;
        }
        changes[i - 1].kind = kind;
        changes[i - 1].value = (uint32_t)feagi_values_number(amount, 32);
    }
    if (feagi_stats_update(r, id->text, id->len_bytes, changes)) {
        feagi_values_fail(FEAGI_VALUES_NO_AREA, args[0]);
    }
}

static mp_obj_t pop_event(feagi_region_t *r) {
    feagi_event_t event;
    if (!feagi_events_pop(r, &event)) {
        return mp_const_none;
    }
    const mp_obj_t values[] = {MP_OBJ_NEW_SMALL_INT(event.kind), feagi_values_new_number(event.arg),
                               feagi_values_new_number(event.time_ms)};
    return mp_obj_new_tuple(3, values);
}

// readinto(buffer, at=core block): 128 bytes at a time are of one instant.
static size_t read_into(const feagi_region_t *r, mp_obj_t buffer, uint32_t at) {
    mp_buffer_info_t info;
    mp_get_buffer_raise(buffer, &info, MP_BUFFER_WRITE);
    const uint32_t rest = at < r->len_bytes ? r->len_bytes - at : 0;
    const size_t len = info.len < rest ? info.len : rest;
    for (size_t done = 0; done < len; done += FEAGI_PAGE_LEN_BYTES) {
        const size_t part = len - done < FEAGI_PAGE_LEN_BYTES ? len - done : FEAGI_PAGE_LEN_BYTES;
        feagi_port_key_t key = feagi_port_lock();
        feagi_port_copy((uint8_t *)info.buf + done, r->base + at + done, part);
        feagi_port_unlock(key);
    }
    return len;
}

// frame_encode(kind, seq, payload, session) -> bytes with both delimiters. For tools and tests.
static __attribute__((noinline)) mp_obj_t encode(const feagi_value_t *a, const mp_obj_t *args) {
    uint8_t wire[FEAGI_FRAME_WIRE_BYTES];
    feagi_frame_out_t out;
    feagi_frame_start(&out, wire, FEAGI_FRAME_LEN_BYTES - 4, (uint8_t)a[0].number, (uint8_t)a[1].number);
    feagi_frame_put_raw(&out, a[2].text, a[2].len_bytes);
    feagi_values_check(out.full ? FEAGI_ERR_RANGE : 0, args[2]);
    return mp_obj_new_bytes(wire, feagi_frame_finish(&out, (uint32_t)feagi_values_number(args[3], 32)));
}

// frame_decode(wire, session) -> (kind, seq, payload) of the first valid frame in the bytes, or None
static __attribute__((noinline)) mp_obj_t decode(const feagi_value_t *wire, uint32_t session) {
    uint8_t buf[FEAGI_FRAME_LEN_BYTES];
    feagi_frame_in_t in;
    feagi_frame_in_init(&in, buf, sizeof buf);
    for (size_t i = 0; i < wire->len_bytes; i++) {
        feagi_frame_t frame;
        const int got = feagi_frame_feed(&in, wire->text[i]);
        if (got > 0 && feagi_frame_check(buf, (size_t)got, session, &frame) == 0) {
            const mp_obj_t values[] = {MP_OBJ_NEW_SMALL_INT(frame.kind), MP_OBJ_NEW_SMALL_INT(frame.seq),
                                       mp_obj_new_bytes(frame.payload, frame.len)};
            return mp_obj_new_tuple(3, values);
        }
    }
    return mp_const_none;
}

static __attribute__((noinline)) mp_obj_t call(unsigned method, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    const signature_t *signature = &signatures[method];
    const unsigned of_type = method < FEAGI_METHOD_INSTANCE;
    mp_arg_check_num(n_args, n_kw, signature->least + of_type, signature->most + of_type, false);
    feagi_manager_t *self = NULL;
    if (of_type) {
        const void *type = method >= FEAGI_METHOD_POLL ? &feagi_module()->link_type : &feagi_module()->manager_type;
        feagi_values_check(mp_obj_get_type(args[0]) == type ? 0 : FEAGI_VALUES_NO_MANAGER, args[0]);
        self = MP_OBJ_TO_PTR(*args++);
        n_args--;
    }
    feagi_region_t *r = &self->region;
    unsigned kinds = signature->kinds;
    feagi_value_t a[ARGUMENTS];
    feagi_port_clear(a, sizeof a);
    for (unsigned i = 0; i < ARGUMENTS; i++, kinds >>= 4) {
        if (i < n_args) {
            a[i] = feagi_values_take(args[i], kinds & 15, r);
        }
    }
    const uint32_t area = (uint32_t)a[0].number;
    int status = 0;
    uint64_t number = 0;
    mp_obj_t object = mp_const_none;
    switch (method) {
        case FEAGI_METHOD_ADD:
        case FEAGI_METHOD_SUBTRACT:
            status =
                feagi_state_write(r, field_named(args[0]), method - FEAGI_METHOD_ADD + FEAGI_STATE_ADD, a[1].number, &number);
            break;
        case FEAGI_METHOD_REGISTER_AGENT: {
            uint32_t handle;
            const uint8_t type = a[1].number < UINT8_MAX ? (uint8_t)a[1].number : UINT8_MAX;
            status = feagi_agents_register(r, a[0].text, a[0].len_bytes, type, a[2].text, a[2].len_bytes, &handle);
            number = handle;
            break;
        }
        case FEAGI_METHOD_DEREGISTER_AGENT:
            status = feagi_agents_deregister(r, a[0].text, a[0].len_bytes);
            break;
        case FEAGI_METHOD_HEARTBEAT:
            status = heartbeat_of(r, args[0]);
            break;
        case FEAGI_METHOD_EVICT_STALE:
            number = (uint32_t)feagi_agents_evict(r, a[0].number);
            break;
        case FEAGI_METHOD_TRY_LOCK:
            status = feagi_locks_try_lock(r, area, n_args > 1 ? a[1].number : 1);
            number = status == 0;
            status = status == FEAGI_ERR_LOCKED ? 0 : status;
            break;
        case FEAGI_METHOD_UNLOCK:
            status = feagi_locks_unlock(r, area, n_args > 1 ? a[1].number : 1);
            break;
        case FEAGI_METHOD_TAKE_OVER:
            status = feagi_locks_take_over(r, area, a[1].number, a[2].number);
            break;
        case FEAGI_METHOD_IS_LOCKED:
        case FEAGI_METHOD_LOCK_OWNER:
            number = feagi_locks_owner(r, area);
            break;
        case FEAGI_METHOD_GET_FCL_WINDOW:
            number = feagi_windows_get(r, area);
            break;
        case FEAGI_METHOD_SET_FCL_WINDOW:
            if (args[0] == mp_const_none) {
                feagi_windows_set_default(r, (uint32_t)a[1].number);
            } else {
                status = feagi_windows_set(r, (uint32_t)feagi_values_number(args[0], 32), (uint32_t)a[1].number);
            }
            break;
        case FEAGI_METHOD_REMOVE_FCL_WINDOW:
            number = (unsigned)feagi_windows_remove(r, area);
            break;
        case FEAGI_METHOD_INIT_AREA_STATS:
            status = feagi_stats_init(r, a[0].text, a[0].len_bytes);
            break;
        case FEAGI_METHOD_SET_AREA_STATS:
        case FEAGI_METHOD_CHANGE_AREA_STATS:
            write_area_stats(r, a, n_args, args, method == FEAGI_METHOD_SET_AREA_STATS);
            break;
        case FEAGI_METHOD_EMIT:
            if (area < FEAGI_USER_EVENT_BASE || area > UINT16_MAX) {
                feagi_values_fail(FEAGI_ERR_RANGE, args[0]);
            }
            number = feagi_events_push(r, (uint16_t)area, (uint32_t)a[1].number) == 0;
            break;
        case FEAGI_METHOD_POP_EVENT:
            object = pop_event(r);
            break;
        case FEAGI_METHOD_EVENTS_REJECTED:
            number = feagi_events_rejected(r);
            break;
        case FEAGI_METHOD_DIGEST:
            number = feagi_region_digest(r);
            break;
        case FEAGI_METHOD_TICK:
            if (n_args) {
                self->manual_time = true;
                feagi_region_set_time(r, a[0].number);
            }
            feagi_manager_update_clock(self);
            break;
        case FEAGI_METHOD_READINTO:
            number = read_into(r, args[0], n_args > 1 ? (uint32_t)a[1].number : FEAGI_HEADER_LEN_BYTES);
            break;
        case FEAGI_METHOD_POLL:
            number = feagi_server_poll(self);
            break;
        case FEAGI_METHOD_LOG:
            number = feagi_server_log(self, (uint32_t)a[0].number, a[1].text, a[1].len_bytes, args[1]);
            break;
        case FEAGI_METHOD_INSTANCE:
            object = MP_OBJ_FROM_PTR(feagi_module_instance());
            break;
        case FEAGI_METHOD_FRAME_ENCODE:
            object = encode(a, args);
            break;
        case FEAGI_METHOD_FRAME_DECODE:
            object = decode(a, (uint32_t)a[1].number);
            break;
        default: // FEAGI_METHOD_SCHEMA_HASH
            number = FEAGI_SCHEMA_HASH;
    }
    if (status < 0) {
        feagi_values_fail(status, args[status == FEAGI_ERR_RANGE]); // what may be out of range is the second argument
    }
    return kinds == FEAGI_VALUES_NUMBER ? feagi_values_new_number(number)
           : kinds == FEAGI_VALUES_BOOL ? mp_obj_new_bool(number)
                                        : object;
}

mp_obj_t feagi_methods_call(mp_obj_t method_in, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    const unsigned method = (unsigned)((mp_obj_base_t *)MP_OBJ_TO_PTR(method_in) - feagi_module()->methods);
    // The one that is called in place of many reads has a short way.
    if (method == FEAGI_METHOD_READINTO && n_args == 2 && n_kw == 0 &&
        mp_obj_is_exact_type(args[0], (const mp_obj_type_t *)&feagi_module()->manager_type)) {
        const feagi_manager_t *self = MP_OBJ_TO_PTR(args[0]);
        return MP_OBJ_NEW_SMALL_INT((mp_int_t)read_into(&self->region, args[1], FEAGI_HEADER_LEN_BYTES));
    }
    return call(method, n_args, n_kw, args);
}
