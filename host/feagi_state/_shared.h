// What the files of the extension that have to do with shared regions know of each other.
#ifndef FEAGI_STATE_SHARED_H
#define FEAGI_STATE_SHARED_H

#include "_core.h"

#include "feagi_shared.h"
#include "feagi_state.h"

// ------------------------------------------------------------------------------------------- a shared region's object

typedef struct {
    PyObject_HEAD feagi_region_t region;
    feagi_share_t share;
    Py_buffer buffer;
    bool open, writable;
    uint64_t waiting;        // threads in process_pause, and in front of the number their process
    const uint8_t *readable; // the region while it is open and no update is, else NULL: then attributes are the short way
    // An update: the thread that it belongs to, 0 for none, and what it keeps back.
    unsigned long updating;
    uint32_t count;
    feagi_state_write_t writes[FEAGI_STATE_UPDATE_WRITES];
} Shared;

static inline bool in_update(Shared *self) {
    const unsigned long thread = __atomic_load_n(&self->updating, __ATOMIC_RELAXED);
    return thread && thread == PyThread_get_thread_ident();
}

// Shapes of Python's methods. Where a function is not described here, _core.pyi does.
typedef PyObject *shared_none_t(Shared *self, PyObject *unused);
typedef PyObject *shared_one_t(Shared *self, PyObject *object);
typedef PyObject *shared_some_t(Shared *self, PyObject *const *args, Py_ssize_t count);
typedef PyObject *module_one_t(PyObject *module, PyObject *object);

// --------------------------------------------------------------------------------------------------------- _process.c

// The name of this process as an owner; a fork changes it.
extern uint64_t process_self;

// Names this process. Returns 0, or another number if it cannot keep a fork from having the same name.
int process_start(void);

// Whether the process that an owner names has ended.
bool process_is_gone(uint64_t owner);

// feagi_share_t.wait; its context is the Shared.
int process_wait(void *context, uint64_t owner, uint32_t tries);

// Lets other threads run for a moment. Whoever calls must hold the interpreter's lock, and nothing that they could change.
void process_pause(Shared *self);

// Whether a thread of this process is in process_pause, so that the memory must stay.
bool process_is_waiting(Shared *self);

module_one_t module_process_id, module_is_gone;

// ---------------------------------------------------------------------------------------------------------- _fields.c

// Interns the attributes' names. Returns 0, or -1 with an exception set.
int fields_start(void);

// Sets the exception for the core's status, with the field's name and the value that was refused, or NULL. Returns NULL.
PyObject *raise_error(int status, PyObject *name, PyObject *value);

// Set the exception for a region that is closed, or read-only or closed. Return -1.
int raise_closed(void);
int raise_read_only(Shared *self);

static inline int check_open(Shared *self) {
    return self->open ? 0 : raise_closed();
}
static inline int check_writable(Shared *self) {
    return self->open && self->writable ? 0 : raise_read_only(self);
}

PyObject *shared_getattro(PyObject *object, PyObject *name);
int shared_setattro(PyObject *object, PyObject *name, PyObject *value);
shared_some_t shared_add_field, shared_subtract_field;
shared_none_t shared_begin_update;
shared_one_t shared_end_update;
module_one_t module_set_enums, module_set_errors;

// -------------------------------------------------------------------------------------------------------- _sections.c

// Arguments: a whole number up to `most`; so many of them; the bytes of a text. Return 0, or -1 with an exception set.
int arg_whole(PyObject *object, uint64_t most, const char *what, uint64_t *value);
int arg_count(Py_ssize_t count, Py_ssize_t wanted);
int arg_text(PyObject *object, const uint8_t **text, size_t *len_bytes);

shared_some_t shared_register;
shared_one_t shared_deregister, shared_heartbeat, shared_find_agent, shared_read_agent, shared_evict;
shared_some_t shared_try_lock, shared_unlock, shared_take_over;
shared_one_t shared_lock_owner;
shared_some_t shared_set_window;
shared_one_t shared_get_window, shared_remove_window, shared_set_default_window;
shared_some_t shared_update_stats;
shared_one_t shared_init_stats, shared_find_stats;
shared_one_t shared_read_event;
shared_some_t shared_emit;

#endif
