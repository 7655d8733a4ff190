// CPython's door to a shared region. Correct from several threads and processes without the interpreter's lock: all that is
// written here after set-up is in the region, through the core's atomic operations, or belongs to the one thread of an update.
#include "_shared.h"

#include <string.h>
#include <time.h>

#include "feagi_events.h"
#include "feagi_image.h"

// -------------------------------------------------------------------------------------------------------- snapshots

#define TRIES 16u   // then the gate is closed
#define TRIES_S 1.0 // where the memory is read-only and nobody can be kept waiting

static double monotonic_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static PyObject *shared_snapshot(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t start, len;
    if (check_open(self) || arg_count(count, 2)) {
        return NULL;
    }
    const uint32_t end = self->region.events_at;
    if (arg_whole(args[0], end, "start", &start) || arg_whole(args[1], end - start, "length", &len)) {
        return NULL;
    }
    if (start % 8 || len % 8) {
        PyErr_SetString(PyExc_ValueError, "a snapshot's start and length are multiples of 8");
        return NULL;
    }
    PyObject *bytes = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)len);
    if (!bytes) {
        return NULL;
    }
    // Of at least 8 bytes' alignment, as all that malloc gives, behind a head of whole words.
    uint64_t *out = (uint64_t *)(void *)PyBytes_AsString(bytes);
    int status = feagi_shared_snapshot(&self->region, out, (uint32_t)start, (uint32_t)len, TRIES);
    if (status && self->writable) {
        status = feagi_shared_snapshot_locked(&self->region, out, (uint32_t)start, (uint32_t)len);
    } else if (status) {
        const double until = monotonic_s() + TRIES_S;
        while (status && monotonic_s() < until) {
            process_pause(self);
            status = feagi_shared_snapshot(&self->region, out, (uint32_t)start, (uint32_t)len, TRIES);
        }
    }
    if (status) {
        Py_DECREF(bytes);
        return raise_error(status, NULL, NULL);
    }
    return bytes;
}

static PyObject *shared_section(Shared *self, PyObject *object) {
    uint64_t number;
    if (check_open(self) || arg_whole(object, FEAGI_SECTION_EVENTS, "section", &number)) {
        return NULL;
    }
    const feagi_region_t *r = &self->region;
    const feagi_place_t places[FEAGI_SECTION_EVENTS + 1] = {
        [FEAGI_SECTION_CORE] = {FEAGI_HEADER_LEN_BYTES, 1, sizeof(feagi_core_t)},
        [FEAGI_SECTION_HASHES] = {FEAGI_HASHES_AT, 1, sizeof(feagi_hashes_t)},
        [FEAGI_SECTION_AGENTS] = r->agents,
        [FEAGI_SECTION_CORTICAL_LOCKS] = r->locks,
        [FEAGI_SECTION_FCL_WINDOWS] = r->windows,
        [FEAGI_SECTION_AREA_STATS] = r->stats,
        [FEAGI_SECTION_EVENTS] = {r->events_at + (uint32_t)sizeof(feagi_ring_t), 0, 0},
    };
    const feagi_place_t place = places[number];
    const uint32_t head = number == FEAGI_SECTION_FCL_WINDOWS ? (uint32_t)sizeof(feagi_windows_t)
                          : number == FEAGI_SECTION_EVENTS    ? (uint32_t)sizeof(feagi_ring_t)
                                                              : 0;
    const uint32_t len =
        number == FEAGI_SECTION_EVENTS ? r->len_bytes - r->events_at : head + (uint32_t)place.capacity * place.entry_len;
    return Py_BuildValue("(kk)", (unsigned long)(place.at - head), (unsigned long)len);
}

static PyObject *shared_restore(Shared *self, PyObject *object) {
    Py_buffer image;
    if (check_writable(self) || PyObject_GetBuffer(object, &image, PyBUF_SIMPLE)) {
        return NULL;
    }
    PyObject *result = NULL;
    if (image.len != (Py_ssize_t)self->region.events_at) {
        PyErr_Format(PyExc_ValueError, "an image of this region has %lu bytes, not %zd", (unsigned long)self->region.events_at,
                     image.len);
    } else {
        result = PyLong_FromLong(feagi_shared_restore(&self->region, image.buf));
    }
    PyBuffer_Release(&image);
    return result;
}

// ------------------------------------------------------------------------------------------------- making and closing

// Gives the buffer back. Returns 0, or -1 with an exception set where a thread waits in it, which goes on with the memory.
static int release(Shared *self) {
    if (process_is_waiting(self)) {
        raise_as("InvalidOperation", "another thread waits in the region: close it when that has come back");
        return -1;
    }
    if (self->open) {
        self->open = false;
        self->readable = NULL;
        PyBuffer_Release(&self->buffer);
    }
    return 0;
}

static int shared_init(Shared *self, PyObject *args, PyObject *kwargs) {
    static char *keywords[] = {"buffer", "create", "cached_clock", NULL};
    PyObject *object, *create = Py_None;
    int cached_clock = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|Op:SharedRegion", keywords, &object, &create, &cached_clock)) {
        return -1;
    }
    if (release(self)) {
        return -1;
    }
    const int writable = get_buffer(object, &self->buffer);
    if (writable < 0) {
        return -1;
    }
    self->share.self = &process_self;
    self->share.wait = process_wait;
    self->share.context = self;
    self->share.cached_clock = cached_clock;
    int status;
    if (create == Py_None) {
        status = feagi_shared_attach(&self->region, &self->share, self->buffer.buf, (size_t)self->buffer.len);
    } else {
        unsigned int profile, boot_id;
        unsigned long long pid_namespace;
        if (!PyArg_ParseTuple(create, "IIK:create", &profile, &boot_id, &pid_namespace)) {
            PyBuffer_Release(&self->buffer);
            return -1;
        }
        if (!writable) {
            PyBuffer_Release(&self->buffer);
            PyErr_SetString(PyExc_TypeError, "a region cannot be made in a read-only buffer");
            return -1;
        }
        status = feagi_shared_init(&self->region, &self->share, self->buffer.buf, (size_t)self->buffer.len, (uint8_t)profile,
                                   boot_id, pid_namespace);
    }
    if (status) {
        PyBuffer_Release(&self->buffer);
        PyErr_SetString(PyExc_ValueError, status == FEAGI_ERR_LAYOUT
                                              ? "the memory holds no shared region of this layout"
                                              : "the memory is too short for what its header says, or not aligned to 64 bytes");
        return -1;
    }
    feagi_region_set_time(&self->region, feagi_port_now_ms());
    self->updating = 0;
    self->count = 0;
    self->writable = writable;
    self->open = true;
    self->readable = self->region.base;
    return 0;
}

static PyObject *shared_close(Shared *self, PyObject *unused) {
    (void)unused;
    if (release(self)) {
        return NULL;
    }
    Py_RETURN_NONE;
}

static void shared_dealloc(Shared *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    (void)release(self); // nobody waits in what nobody has
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *shared_tick(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t now_ms = feagi_port_now_ms();
    if (check_open(self) ||
        (count && (arg_count(count, 1) || (args[0] != Py_None && arg_whole(args[0], UINT64_MAX, "time", &now_ms))))) {
        return NULL;
    }
    feagi_region_set_time(&self->region, now_ms);
    Py_RETURN_NONE;
}

// -------------------------------------------------------------------------------------------------------- the type

enum { REGION_LEN, IMAGE_LEN, NAMESPACE, AGENT_LEN, EVENTS_CAPACITY, EVENTS_HEAD };

static PyObject *shared_get(Shared *self, void *which) {
    if (check_open(self)) {
        return NULL;
    }
    const feagi_region_t *r = &self->region;
    switch ((int)(intptr_t)which) {
        case REGION_LEN:
            return PyLong_FromUnsignedLong(r->len_bytes);
        case IMAGE_LEN:
            return PyLong_FromUnsignedLong(r->events_at);
        case NAMESPACE:
            return PyLong_FromUnsignedLongLong(feagi_port_load_u64(&self->share.trailer->pid_namespace));
        case AGENT_LEN:
            return PyLong_FromUnsignedLong(r->agents.entry_len);
        case EVENTS_CAPACITY:
            return PyLong_FromUnsignedLong(r->events_mask + 1);
        default:
            return PyLong_FromUnsignedLong(feagi_events_head(r));
    }
}

static PyObject *shared_get_writable(Shared *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(self->open && self->writable);
}

static PyObject *shared_get_closed(Shared *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(!self->open);
}

#define GETTER(name, which)                                                                                                      \
    { name, (getter)shared_get, NULL, NULL, (void *)(intptr_t)(which) }
// All is documented in _core.pyi. What begins with no underscore is an attribute of StateManager too, and says it here as well.
static PyGetSetDef shared_getset[] = {
    GETTER("_region_len", REGION_LEN),
    GETTER("_image_len", IMAGE_LEN),
    GETTER("_pid_namespace", NAMESPACE),
    GETTER("_agent_len", AGENT_LEN),
    GETTER("_events_capacity", EVENTS_CAPACITY),
    GETTER("_events_head", EVENTS_HEAD),
    {"writable", (getter)shared_get_writable, NULL, "Whether it may be written.", NULL},
    {"closed", (getter)shared_get_closed, NULL, "Whether it was closed, or never made.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define PUBLIC(name, function, flags, signature, doc)                                                                            \
    { name, (PyCFunction)(void (*)(void))(function), flags, signature "\n--\n\n" doc }
static PyMethodDef shared_methods[] = {
    PUBLIC("close", shared_close, METH_NOARGS, "close($self, /)",
           "Gives the buffer back. No other thread may be in a call; raises InvalidOperation where one waits in it."),
    PUBLIC("tick", shared_tick, METH_FASTCALL, "tick($self, now_ms=None, /)",
           "With `cached_clock`: sets the clock to `now_ms` [ms since the Unix epoch], or to the system's.\n\n"
           "Any thread. Raises InvalidValue."),
    PUBLIC("add", shared_add_field, METH_FASTCALL, "add($self, field, amount, /)",
           "Adds an amount to the counter of this name, which stays at its maximum. Returns the value after it.\n\n"
           "Any thread of any process. Raises InvalidField, InvalidOperation for a field that is no counter, InvalidValue."),
    PUBLIC("subtract", shared_subtract_field, METH_FASTCALL, "subtract($self, field, amount, /)",
           "Subtracts an amount from the counter of this name, which stays at 0. Otherwise as add."),
    PUBLIC("heartbeat", shared_heartbeat, METH_O, "heartbeat($self, agent, /)",
           "Sets the last_seen of the agent with this id, or this handle, to now. By the handle no table is searched.\n\n"
           "Any thread of any process. Raises AgentNotFound, also where the handle's agent was deregistered and another one\n"
           "has its slot; InvalidValue for what is neither."),
    METHOD("_begin_update", shared_begin_update, METH_NOARGS),
    METHOD("_end_update", shared_end_update, METH_O),
    METHOD("_register", shared_register, METH_FASTCALL),
    METHOD("_deregister", shared_deregister, METH_O),
    METHOD("_find_agent", shared_find_agent, METH_O),
    METHOD("_read_agent", shared_read_agent, METH_O),
    METHOD("_evict", shared_evict, METH_O),
    METHOD("_try_lock", shared_try_lock, METH_FASTCALL),
    METHOD("_unlock", shared_unlock, METH_FASTCALL),
    METHOD("_take_over", shared_take_over, METH_FASTCALL),
    METHOD("_lock_owner", shared_lock_owner, METH_O),
    METHOD("_get_window", shared_get_window, METH_O),
    METHOD("_set_window", shared_set_window, METH_FASTCALL),
    METHOD("_remove_window", shared_remove_window, METH_O),
    METHOD("_set_default_window", shared_set_default_window, METH_O),
    METHOD("_init_stats", shared_init_stats, METH_O),
    METHOD("_find_stats", shared_find_stats, METH_O),
    METHOD("_update_stats", shared_update_stats, METH_FASTCALL),
    METHOD("_emit", shared_emit, METH_FASTCALL),
    METHOD("_read_event", shared_read_event, METH_O),
    METHOD("_snapshot", shared_snapshot, METH_FASTCALL),
    METHOD("_section", shared_section, METH_O),
    METHOD("_restore", shared_restore, METH_O),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot shared_slots[] = {
    {Py_tp_doc, "A shared region over a buffer. See _core.pyi."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, shared_init},
    {Py_tp_dealloc, shared_dealloc},
    {Py_tp_getattro, shared_getattro},
    {Py_tp_setattro, shared_setattro},
    {Py_tp_methods, shared_methods},
    {Py_tp_getset, shared_getset},
    {0, NULL},
};

static PyType_Spec shared_spec = {
    .name = "feagi_state._core.SharedRegion",
    .basicsize = sizeof(Shared),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .slots = shared_slots,
};

// ------------------------------------------------------------------------------------------------ module functions

static PyObject *module_shared_len(PyObject *module, PyObject *object) {
    (void)module;
    uint64_t number;
    if (arg_whole(object, UINT8_MAX, "profile", &number)) {
        return NULL;
    }
    const feagi_profile_t *profile = feagi_region_profile((uint8_t)number);
    return profile ? PyLong_FromUnsignedLong(feagi_shared_len(feagi_region_len(profile)))
                   : PyErr_Format(PyExc_ValueError, "there is no profile %lu", (unsigned long)number);
}

static PyObject *module_check_image(PyObject *module, PyObject *const *args, Py_ssize_t count) {
    (void)module;
    static const char *const wrong[] = {
        [FEAGI_IMAGE_HEADER] = "its header is of no region of this layout, or of one of another length",
        [FEAGI_IMAGE_CORE] = "a field of the core block is out of its range",
        [FEAGI_IMAGE_AGENTS] = "the agent table is not whole",
        [FEAGI_IMAGE_AREAS] = "the table of locks or windows is not whole",
        [FEAGI_IMAGE_STATS] = "the area statistics are not whole",
    };
    uint64_t profile = 0;
    if (count < 1 || count > 2) {
        PyErr_SetString(PyExc_TypeError, "takes an image, and a profile's number");
        return NULL;
    }
    Py_buffer image;
    if ((count == 2 && arg_whole(args[1], UINT8_MAX, "profile", &profile)) || PyObject_GetBuffer(args[0], &image, PyBUF_SIMPLE)) {
        return NULL;
    }
    PyObject *result = NULL;
    // A copy: aligned, and the same for every check.
    void *copy = PyMem_Malloc((size_t)image.len + 1);
    if (!copy) {
        PyErr_NoMemory();
    } else if (image.len > (Py_ssize_t)UINT32_MAX) {
        result = PyUnicode_FromString(wrong[FEAGI_IMAGE_HEADER]);
    } else {
        memcpy(copy, image.buf, (size_t)image.len);
        const int found = feagi_image_check(copy, (uint32_t)image.len);
        if (found) {
            result = PyUnicode_FromString(wrong[found]);
        } else if (profile && ((feagi_header_t *)copy)->profile != profile) {
            result = PyUnicode_FromString("it is of another profile");
        } else {
            result = Py_None;
            Py_INCREF(result);
        }
    }
    PyMem_Free(copy);
    PyBuffer_Release(&image);
    return result;
}

static PyMethodDef module_functions[] = {
    METHOD("set_enums", module_set_enums, METH_O),
    METHOD("set_errors", module_set_errors, METH_O),
    METHOD("shared_len", module_shared_len, METH_O),
    METHOD("process_id", module_process_id, METH_NOARGS),
    METHOD("is_gone", module_is_gone, METH_O),
    METHOD("check_image", module_check_image, METH_FASTCALL),
    {NULL, NULL, 0, NULL},
};

int shared_add(PyObject *module) {
    if (process_start() || fields_start()) {
        return -1;
    }
    PyObject *type = PyType_FromSpec(&shared_spec);
    const int status = type ? PyObject_SetAttrString(module, "SharedRegion", type) : -1;
    Py_XDECREF(type);
    return status ? status : PyModule_AddFunctions(module, module_functions);
}
