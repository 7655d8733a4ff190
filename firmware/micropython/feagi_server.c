// The type Link: a link over a stream of MicroPython's.
#include "feagi_module.h"

#include "py/mperrno.h"
#include "py/stream.h"

#include "feagi_values.h"

// A poll that began so long ago was left by an exception in the stream: the next one takes over.
#define POLL_ABANDONED_MS 1000u
// What one poll does at most, so that it never keeps the program long.
#define POLL_BYTES FEAGI_LINK_RXBUF_BYTES // all that a host may have under way
#define POLL_FRAMES 8

// One direction of a link's stream.
typedef struct {
    mp_obj_t stream;
    const mp_stream_p_t *protocol;
    mp_obj_t wait_poll; // select.poll's method where the stream is a file descriptor, else MP_OBJ_NULL
    uintptr_t what;     // MP_STREAM_POLL_RD or _WR
} port_t;

typedef struct {
    mp_obj_base_t base;
    feagi_manager_t *state;
    mp_obj_t name;
    port_t in, out;
    uint32_t busy_since;
    bool busy;
    feagi_link_t link;
} server_t;

static mp_uint_t control(const port_t *port, mp_uint_t request, uintptr_t argument) {
    int error;
    return port->protocol->ioctl ? port->protocol->ioctl(port->stream, request, argument, &error) : MP_STREAM_ERROR;
}

static void open_port(port_t *port, mp_obj_t stream, int operation, uintptr_t what) {
    port->stream = stream;
    port->protocol = mp_get_stream_raise(stream, operation);
    port->wait_poll = MP_OBJ_NULL;
    port->what = what;
    // MicroPython's unix port tells whether a file is ready through select.poll only. (A list is allocated at every call there.)
    if (control(port, MP_STREAM_POLL, what) == MP_STREAM_ERROR && control(port, MP_STREAM_GET_FILENO, 0) != MP_STREAM_ERROR) {
        const mp_obj_t args[] = {stream, MP_OBJ_NEW_SMALL_INT((mp_int_t)what)};
        port->wait_poll = mp_call_function_n_kw(feagi_module()->helpers[FEAGI_HELPER_POLLER], 2, 0, args);
    }
}

// Whether a read or write would not wait. A stream that cannot tell is taken for one that never waits.
static bool is_ready(const port_t *port) {
    if (port->wait_poll != MP_OBJ_NULL) {
        const mp_obj_t zero = MP_OBJ_NEW_SMALL_INT(0);
        return mp_obj_is_true(mp_call_function_n_kw(port->wait_poll, 1, 0, &zero));
    }
    const mp_uint_t flags = control(port, MP_STREAM_POLL, port->what);
    return flags == MP_STREAM_ERROR || (flags & port->what);
}

// Link(stream, state=instance, name=None, out=stream)
mp_obj_t feagi_server_make_new(const mp_obj_type_t *type, size_t n_args, size_t n_kw, const mp_obj_t *args) {
    mp_arg_check_num(n_args, n_kw, 1, 4, false);
    mp_obj_t given[4] = {args[0], mp_const_none, mp_const_none, mp_const_none}; // state, name, out
    for (size_t i = 1; i < n_args; i++) {
        given[i] = args[i];
    }
    const mp_obj_t state = given[1] != mp_const_none ? given[1] : MP_OBJ_FROM_PTR(feagi_module_instance());
    feagi_values_check(
        mp_obj_get_type(state) == (const mp_obj_type_t *)&feagi_module()->manager_type ? 0 : FEAGI_VALUES_NO_MANAGER, state);
    server_t *self = m_malloc(sizeof *self);
    self->base.type = type;
    self->state = MP_OBJ_TO_PTR(state);
    self->name = given[2];
    self->busy = false;
    open_port(&self->in, given[0], MP_STREAM_OP_READ, MP_STREAM_POLL_RD);
    open_port(&self->out, given[3] != mp_const_none ? given[3] : given[0], MP_STREAM_OP_WRITE, MP_STREAM_POLL_WR);
    feagi_region_t *region = &self->state->region;
    if (!self->state->dirty) {
        self->state->dirty = m_malloc(feagi_region_dirty_words(region) * sizeof(uint32_t));
    }
    const char *name = NULL;
    if (self->name != mp_const_none) {
        // It ends with a zero byte, and lasts for as long as self->name holds it.
        name = (const char *)feagi_values_take(self->name, FEAGI_VALUES_NAME, NULL).text;
    }
    const uint32_t boot_id = ((feagi_header_t *)(void *)region->base)->boot_id;
    if (feagi_link_init(&self->link, region, self->state->dirty, name, feagi_link_mix(boot_id, feagi_module_entropy()))) {
        feagi_values_fail(FEAGI_VALUES_TOO_MANY_PAGES, MP_OBJ_NEW_SMALL_INT(region->pages));
    }
    if (mp_obj_is_true(mp_call_function_n_kw(feagi_module()->helpers[FEAGI_HELPER_IS_PROMPT], 1, 0, given))) {
        feagi_link_take_text(&self->link);
    }
    self->state->link = self;
    return MP_OBJ_FROM_PTR(self);
}

// The bytes that a stream's call took or gave. Its error is none if it only has no bytes, or no room, now.
static size_t count_of(mp_uint_t result, int error) {
    if (result != MP_STREAM_ERROR) {
        return result;
    }
    // Not mp_is_nonblocking_error: what that means depends on the firmware's configuration, which a native module does not see.
    if (error != MP_EAGAIN) {
        feagi_values_fail(FEAGI_VALUES_STREAM, MP_OBJ_NEW_SMALL_INT(error));
    }
    return 0;
}

static void poll_in(server_t *self) {
    uint8_t bytes[32];
    // A file gives what it has. Of others some wait until all bytes are there that were asked for, so they are asked for one.
    const size_t most = self->in.wait_poll != MP_OBJ_NULL ? sizeof bytes : 1;
    for (size_t sum = 0; sum < POLL_BYTES && is_ready(&self->in);) {
        int error = 0;
        const mp_uint_t result = self->in.protocol->read(self->in.stream, bytes, most, &error);
        const size_t got = count_of(result, error);
        if (got == 0) {
            return;
        }
        feagi_link_receive(&self->link, bytes, got);
        sum += got;
    }
}

static void poll_out(server_t *self) {
    for (int i = 0; i < POLL_FRAMES; i++) {
        const uint8_t *data;
        int error = 0;
        const size_t len = feagi_link_output(&self->link, &data);
        if (!len || !is_ready(&self->out)) {
            return;
        }
        const mp_uint_t result = self->out.protocol->write(self->out.stream, data, len, &error);
        const size_t took = count_of(result, error);
        feagi_link_sent(&self->link, took);
        if (took < len) {
            return;
        }
    }
}

// Whether nobody else is at the link's stream: then it is the caller's until it clears `busy`. Of a state's links the last one
// serves it.
static bool enter(server_t *self, uint32_t now) {
    feagi_values_check(self->state->link == self ? 0 : FEAGI_VALUES_OTHER_LINK, MP_OBJ_FROM_PTR(self));
    // A scheduled callback may come while the main program is inside the stream: leave that alone.
    if (self->busy && now - self->busy_since < POLL_ABANDONED_MS) {
        return false;
    }
    self->busy_since = now;
    return self->busy = true;
}

// Serves the link: takes what arrived, sends what is due, never waits. True while a host has a session.
bool feagi_server_poll(void *self_in) {
    server_t *self = self_in;
    feagi_manager_t *state = self->state;
    feagi_manager_update_clock(state);
    if (enter(self, (uint32_t)state->now_ms)) {
        feagi_link_tick(&self->link, state->now_ms, state->now_us);
        self->link.keep_clock = state->manual_time;
        poll_in(self);
        poll_out(self);
        self->busy = false;
    }
    return self->link.up;
}

// Sends a line of the log, behind what waits to be sent. False if it could not, without waiting.
bool feagi_server_log(void *self_in, uint32_t level, const uint8_t *text, size_t len_bytes, mp_obj_t about) {
    server_t *self = self_in;
    if (!enter(self, (uint32_t)self->state->now_ms)) {
        return false;
    }
    poll_out(self);
    const int took = feagi_link_log(&self->link, level < UINT8_MAX ? (uint8_t)level : UINT8_MAX, text, len_bytes);
    poll_out(self);
    self->busy = false;
    feagi_values_check(took, about);
    return took;
}

void feagi_server_attr(mp_obj_t self_in, qstr name, mp_obj_t *dest) {
    const server_t *self = MP_OBJ_TO_PTR(self_in);
    if (dest[0] != MP_OBJ_NULL) {
        return; // nothing to store
    }
    if (name == feagi_name(FEAGI_NAME_UP)) {
        dest[0] = mp_obj_new_bool(self->link.up);
    } else if (name == feagi_name(FEAGI_NAME_SESSION)) {
        dest[0] = feagi_values_new_number(self->link.session);
    } else if (name == feagi_name(FEAGI_NAME_REJECTED)) {
        dest[0] = feagi_values_new_number(self->link.rejected);
    } else {
        dest[1] = MP_OBJ_SENTINEL;
    }
}
