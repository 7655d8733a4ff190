// What the files of the extension know of each other.
#ifndef FEAGI_STATE_CORE_H
#define FEAGI_STATE_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "feagi_region.h"

// Sets an exception of feagi_state.errors; the format is PyErr_Format's. Returns NULL.
PyObject *raise_as(const char *class_name, const char *format, ...);

// What _core.pyi says of read_event: of the ring of any region on a host.
PyObject *shared_event(const feagi_region_t *region, PyObject *position);

// The Python object of a core field's value: bool, int, float, or what set_enums said.
PyObject *field_object(unsigned field, uint64_t value);

// Gets an object's buffer, writable if it can be had so. Returns whether it is, or -1 with an exception set.
static inline int get_buffer(PyObject *object, Py_buffer *buffer) {
    if (!PyObject_GetBuffer(object, buffer, PyBUF_WRITABLE)) {
        return 1;
    }
    PyErr_Clear();
    return PyObject_GetBuffer(object, buffer, PyBUF_SIMPLE);
}

// A row of a table of methods, which _core.pyi documents.
#define METHOD(name, function, flags)                                                                                            \
    { name, (PyCFunction)(void (*)(void))(function), flags, NULL }

// Adds what _shared.c has to the module: SharedRegion and functions. Returns 0, or -1 with an exception set.
int shared_add(PyObject *module);

#endif
