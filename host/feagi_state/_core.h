// What the files of the extension know of each other.
#ifndef FEAGI_STATE_CORE_H
#define FEAGI_STATE_CORE_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

// Adds what _shared.c has to the module: Region and process functions. Returns 0, or -1 with an exception set.
int shared_add(PyObject *module);

#endif
