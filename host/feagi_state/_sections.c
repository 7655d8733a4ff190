// Sections behind the core block: agents, cortical locks, windows, statistics, events. Documented in _core.pyi.
#include "_shared.h"

#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_locks.h"
#include "feagi_stats.h"
#include "feagi_windows.h"

// ------------------------------------------------------------------------------------------------------- arguments

// A whole number up to `most`. Returns 0, or -1 with an exception set.
int arg_whole(PyObject *object, uint64_t most, const char *what, uint64_t *value) {
    *value = PyLong_AsUnsignedLongLong(object);
    const bool is_none = *value == (uint64_t)-1 && PyErr_Occurred();
    if (is_none || *value > most) {
        PyErr_Clear();
        raise_as("InvalidValue", "%R is no %s: it should be an int from 0 to %llu", object, what, (unsigned long long)most);
        return -1;
    }
    return 0;
}

int arg_count(Py_ssize_t count, Py_ssize_t wanted) {
    if (count != wanted) {
        PyErr_Format(PyExc_TypeError, "takes %zd arguments, not %zd", wanted, count);
        return -1;
    }
    return 0;
}

// The bytes of a text argument.
int arg_text(PyObject *object, const uint8_t **text, size_t *len_bytes) {
    if (PyBytes_Check(object)) {
        char *bytes;
        Py_ssize_t len;
        if (PyBytes_AsStringAndSize(object, &bytes, &len)) {
            return -1;
        }
        *text = (const uint8_t *)bytes;
        *len_bytes = (size_t)len;
        return 0;
    }
    Py_ssize_t len = 0;
    *text = PyUnicode_Check(object) ? (const uint8_t *)PyUnicode_AsUTF8AndSize(object, &len) : NULL;
    *len_bytes = (size_t)len;
    if (!*text) {
        PyErr_Clear();
        raise_as("InvalidValue", "%R is no text that UTF-8 can write", object);
        return -1;
    }
    return 0;
}

// ----------------------------------------------------------------------------------------------------------- agents

PyObject *shared_register(Shared *self, PyObject *const *args, Py_ssize_t count) {
    const uint8_t *id, *metadata;
    size_t id_len, metadata_len;
    uint64_t type;
    if (check_writable(self) || arg_count(count, 3) || arg_text(args[0], &id, &id_len) ||
        arg_whole(args[1], UINT8_MAX, "agent type", &type) || arg_text(args[2], &metadata, &metadata_len)) {
        return NULL;
    }
    uint32_t handle;
    const int status = feagi_agents_register(&self->region, id, id_len, (uint8_t)type, metadata, metadata_len, &handle);
    return status ? PyLong_FromLong(status) : PyLong_FromUnsignedLong(handle);
}

PyObject *shared_deregister(Shared *self, PyObject *object) {
    const uint8_t *id;
    size_t id_len;
    if (check_writable(self) || arg_text(object, &id, &id_len)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_agents_deregister(&self->region, id, id_len));
}

PyObject *shared_heartbeat(Shared *self, PyObject *object) {
    int status;
    if (check_writable(self)) {
        return NULL;
    }
    if (PyLong_Check(object)) {
        const unsigned long long handle = PyLong_AsUnsignedLongLong(object);
        if (handle == (unsigned long long)-1 && PyErr_Occurred()) {
            PyErr_Clear();
        }
        status = handle > UINT32_MAX ? FEAGI_ERR_NOT_FOUND : feagi_agents_heartbeat_handle(&self->region, (uint32_t)handle);
    } else {
        const uint8_t *id;
        size_t id_len;
        if (arg_text(object, &id, &id_len)) {
            return NULL;
        }
        status = feagi_agents_heartbeat(&self->region, id, id_len);
    }
    if (status) {
        return raise_error(status, NULL, object);
    }
    Py_RETURN_NONE;
}

PyObject *shared_find_agent(Shared *self, PyObject *object) {
    const uint8_t *id;
    size_t id_len;
    if (check_open(self) || arg_text(object, &id, &id_len)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_agents_find(&self->region, id, id_len));
}

PyObject *shared_read_agent(Shared *self, PyObject *object) {
    uint64_t slot;
    if (check_open(self) || arg_whole(object, self->region.agents.capacity - 1u, "agent slot", &slot)) {
        return NULL;
    }
    uint64_t entry[4096 / 8]; // no region has longer ones
    if (!feagi_agents_read(&self->region, (uint32_t)slot, entry)) {
        Py_RETURN_NONE;
    }
    return PyBytes_FromStringAndSize((const char *)entry, self->region.agents.entry_len);
}

PyObject *shared_evict(Shared *self, PyObject *object) {
    uint64_t age_ms;
    if (check_writable(self) || arg_whole(object, UINT64_MAX, "age", &age_ms)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_agents_evict(&self->region, age_ms));
}

// ------------------------------------------------------------------------------------------------ locks and windows

PyObject *shared_try_lock(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t area, owner;
    if (check_writable(self) || arg_count(count, 2) || arg_whole(args[0], UINT32_MAX, "area", &area) ||
        arg_whole(args[1], UINT64_MAX, "owner", &owner)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_locks_try_lock(&self->region, (uint32_t)area, owner));
}

PyObject *shared_unlock(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t area, owner;
    if (check_writable(self) || arg_count(count, 2) || arg_whole(args[0], UINT32_MAX, "area", &area) ||
        arg_whole(args[1], UINT64_MAX, "owner", &owner)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_locks_unlock(&self->region, (uint32_t)area, owner));
}

PyObject *shared_take_over(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t area, old, new;
    if (check_writable(self) || arg_count(count, 3) || arg_whole(args[0], UINT32_MAX, "area", &area) ||
        arg_whole(args[1], UINT64_MAX, "owner", &old) || arg_whole(args[2], UINT64_MAX, "owner", &new)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_locks_take_over(&self->region, (uint32_t)area, old, new));
}

PyObject *shared_lock_owner(Shared *self, PyObject *object) {
    uint64_t area;
    if (check_open(self) || arg_whole(object, UINT32_MAX, "area", &area)) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(feagi_locks_owner(&self->region, (uint32_t)area));
}

PyObject *shared_get_window(Shared *self, PyObject *object) {
    uint64_t area;
    if (check_open(self) || arg_whole(object, UINT32_MAX, "area", &area)) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(feagi_windows_get(&self->region, (uint32_t)area));
}

PyObject *shared_set_window(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t area, window;
    if (check_writable(self) || arg_count(count, 2) || arg_whole(args[0], UINT32_MAX, "area", &area) ||
        arg_whole(args[1], UINT32_MAX, "window", &window)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_windows_set(&self->region, (uint32_t)area, (uint32_t)window));
}

PyObject *shared_remove_window(Shared *self, PyObject *object) {
    uint64_t area;
    if (check_writable(self) || arg_whole(object, UINT32_MAX, "area", &area)) {
        return NULL;
    }
    return PyBool_FromLong(feagi_windows_remove(&self->region, (uint32_t)area));
}

PyObject *shared_set_default_window(Shared *self, PyObject *object) {
    uint64_t window;
    if (check_writable(self) || arg_whole(object, UINT32_MAX, "window", &window)) {
        return NULL;
    }
    feagi_windows_set_default(&self->region, (uint32_t)window);
    Py_RETURN_NONE;
}

// ------------------------------------------------------------------------------------------------------- statistics

PyObject *shared_init_stats(Shared *self, PyObject *object) {
    const uint8_t *id;
    size_t id_len;
    if (check_writable(self) || arg_text(object, &id, &id_len)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_stats_init(&self->region, id, id_len));
}

PyObject *shared_find_stats(Shared *self, PyObject *object) {
    const uint8_t *id;
    size_t id_len;
    if (check_open(self) || arg_text(object, &id, &id_len)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_stats_find(&self->region, id, id_len));
}

PyObject *shared_update_stats(Shared *self, PyObject *const *args, Py_ssize_t count) {
    const uint8_t *id;
    size_t id_len;
    if (check_writable(self) || arg_count(count, 1 + 2 * FEAGI_STATS_COUNTS) || arg_text(args[0], &id, &id_len)) {
        return NULL;
    }
    feagi_stats_change_t changes[FEAGI_STATS_COUNTS];
    for (unsigned i = 0; i < FEAGI_STATS_COUNTS; i++) {
        uint64_t kind, value;
        if (arg_whole(args[1 + 2 * i], FEAGI_STATS_KINDS - 1, "kind of change", &kind) ||
            arg_whole(args[2 + 2 * i], UINT32_MAX, "count", &value)) {
            return NULL;
        }
        changes[i] = (feagi_stats_change_t){(uint8_t)kind, (uint32_t)value};
    }
    return PyLong_FromLong(feagi_stats_update(&self->region, id, id_len, changes));
}

// ----------------------------------------------------------------------------------------------------------- events

PyObject *shared_event(const feagi_region_t *region, PyObject *object) {
    const unsigned long position = PyLong_AsUnsignedLongMask(object);
    if (position == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    feagi_event_t event;
    uint32_t lost;
    switch (feagi_events_read(region, (uint32_t)position, &event, &lost)) {
        case FEAGI_EVENTS_READ:
            return Py_BuildValue("(kkk)", (unsigned long)event.kind, (unsigned long)event.arg, (unsigned long)event.time_ms);
        case FEAGI_EVENTS_LOST:
            return PyLong_FromUnsignedLong(lost);
        default:
            Py_RETURN_NONE;
    }
}

PyObject *shared_read_event(Shared *self, PyObject *object) {
    return check_open(self) ? NULL : shared_event(&self->region, object);
}

PyObject *shared_emit(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t kind, arg;
    if (check_writable(self) || arg_count(count, 2) || arg_whole(args[0], UINT16_MAX, "kind", &kind) ||
        arg_whole(args[1], UINT32_MAX, "arg", &arg)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_events_push(&self->region, (uint16_t)kind, (uint32_t)arg));
}
