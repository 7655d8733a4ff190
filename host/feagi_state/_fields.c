// Fields as attributes, updates that group writes of them, and how what goes wrong becomes an exception.
#include "_shared.h"

#include <math.h>
#include <string.h>

#include "feagi_hashes.h"

// ------------------------------------------------------------------------------------------------------ exceptions

static PyObject *make_error; // callable(status, field name, value)

PyObject *raise_error(int status, PyObject *name, PyObject *value) {
    PyObject *error =
        make_error ? PyObject_CallFunction(make_error, "iOO", status, name ? name : Py_None, value ? value : Py_None) : NULL;
    if (error) {
        PyErr_SetObject((PyObject *)Py_TYPE(error), error);
        Py_DECREF(error);
    } else if (!PyErr_Occurred()) {
        PyErr_Format(PyExc_RuntimeError, "the core says %d", status);
    }
    return NULL;
}

int raise_closed(void) {
    PyErr_SetString(PyExc_ValueError, "the region is closed");
    return -1;
}

int raise_read_only(Shared *self) {
    if (!check_open(self)) {
        PyErr_SetString(PyExc_TypeError, "the region is mapped read-only");
    }
    return -1;
}

PyObject *module_set_errors(PyObject *module, PyObject *make) {
    (void)module;
    Py_INCREF(make);
    PyObject *old = make_error;
    make_error = make;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

// ----------------------------------------------------------------------------------------------------- names, enums

// Attributes by name: a field, or behind the fields a hash. Names that the compiler has seen are interned, so that the pointer
// tells; a power of two with room enough that most names are at their first place.
#define NAME_SLOTS 256u
static struct {
    PyObject *name;
    unsigned index;
} names[NAME_SLOTS];
static PyObject *attribute_names[FEAGI_ATTRIBUTES];

// Members of the enum fields, by number.
static struct {
    PyObject **members;
    uint32_t count;
} enums[FEAGI_FIELDS];

static uint32_t name_slot(PyObject *name) {
    return (uint32_t)(((uintptr_t)name >> 4) * 0x9e3779b1u >> 8) % NAME_SLOTS;
}

// The attribute with this very string as its name, or -1.
static inline int attribute_of(PyObject *name) {
    for (uint32_t slot = name_slot(name); names[slot].name; slot = (slot + 1) % NAME_SLOTS) {
        if (names[slot].name == name) {
            return (int)names[slot].index;
        }
    }
    return -1;
}

// The attribute of this name, whoever made the string, or -1.
static int attribute_named(PyObject *name) {
    int index = attribute_of(name);
    for (unsigned i = 0; index < 0 && PyUnicode_Check(name) && i < FEAGI_ATTRIBUTES; i++) {
        if (PyUnicode_Compare(name, attribute_names[i]) == 0) {
            index = (int)i;
        }
    }
    return index;
}

int fields_start(void) {
    if (attribute_names[0]) {
        return 0;
    }
    for (unsigned index = 0; index < FEAGI_ATTRIBUTES; index++) {
        PyObject *name = PyUnicode_InternFromString(feagi_attribute_names[index]);
        if (!name) {
            return -1;
        }
        uint32_t slot = name_slot(name);
        while (names[slot].name) {
            slot = (slot + 1) % NAME_SLOTS;
        }
        names[slot].name = attribute_names[index] = name; // for as long as the process lives
        names[slot].index = index;
    }
    return 0;
}

PyObject *module_set_enums(PyObject *module, PyObject *mapping) {
    (void)module;
    for (unsigned field = 0; field < FEAGI_FIELDS; field++) {
        PyObject *members = PyDict_GetItem(mapping, attribute_names[field]);
        const Py_ssize_t count = members ? PyTuple_Size(members) : 0;
        if (count < 0) {
            return NULL;
        }
        if (!count || enums[field].count) {
            continue;
        }
        enums[field].members = PyMem_Malloc((size_t)count * sizeof(PyObject *));
        if (!enums[field].members) {
            return PyErr_NoMemory();
        }
        for (Py_ssize_t i = 0; i < count; i++) {
            enums[field].members[i] = PyTuple_GetItem(members, i);
            Py_INCREF(enums[field].members[i]);
        }
        enums[field].count = (uint32_t)count;
    }
    Py_RETURN_NONE;
}

// ---------------------------------------------------------------------------------------------------------- fields

// A field's or hash's value as this thread's update leaves it.
static uint64_t update_value(Shared *self, unsigned field, uint64_t value) {
    for (uint32_t i = 0; i < self->count; i++) {
        if (self->writes[i].field == field) {
            value = field & FEAGI_STATE_HASH ? self->writes[i].value
                                             : feagi_state_after(field, self->writes[i].kind, self->writes[i].value, value);
        }
    }
    return value;
}

static PyObject *object_of(unsigned field, uint64_t value) {
    switch (feagi_fields[field].type) {
        case FEAGI_TYPE_BOOL:
            return PyBool_FromLong(value != 0);
        case FEAGI_TYPE_F32: {
            const uint32_t bits = (uint32_t)value;
            float number;
            memcpy(&number, &bits, sizeof number);
            return PyFloat_FromDouble((double)number);
        }
        case FEAGI_TYPE_U8:
            if (enums[field].count) {
                // An unknown number is the first member, as in FEAGI.
                PyObject *member = enums[field].members[value < enums[field].count ? value : 0];
                Py_INCREF(member);
                return member;
            }
            return PyLong_FromLong((long)value);
        default:
            return PyLong_FromUnsignedLong((unsigned long)value);
    }
}

// What most reads are: an enum's member or a u32, and no update open. NULL without an exception for all else.
static inline PyObject *get_common(Shared *self, unsigned field) {
    if (__builtin_expect(!self->open || self->updating, 0)) {
        return NULL;
    }
    if (feagi_fields[field].type == FEAGI_TYPE_U8) {
        const uint8_t value = feagi_state_load_u8(&self->region, feagi_fields[field].offset);
        PyObject *member = value < enums[field].count ? enums[field].members[value] : NULL;
        Py_XINCREF(member);
        return member;
    }
    return feagi_fields[field].type == FEAGI_TYPE_U32
               ? PyLong_FromUnsignedLong(feagi_state_load_u32(&self->region, feagi_fields[field].offset))
               : NULL;
}

static inline PyObject *get_field(Shared *self, unsigned field) {
    PyObject *common = get_common(self, field);
    if (__builtin_expect(common != NULL, 1) || PyErr_Occurred()) {
        return common;
    }
    if (!self->open) {
        raise_closed();
        return NULL;
    }
    uint64_t value = feagi_state_get(&self->region, field);
    if (__builtin_expect(self->updating != 0, 0) && in_update(self)) {
        value = update_value(self, field, value);
    }
    return object_of(field, value);
}

static PyObject *get_hash(Shared *self, unsigned hash) {
    if (check_open(self)) {
        return NULL;
    }
    uint64_t value = feagi_hashes_get(&self->region, hash);
    if (self->updating && in_update(self)) {
        value = update_value(self, FEAGI_STATE_HASH | hash, value);
    }
    return PyLong_FromUnsignedLongLong(value);
}

PyObject *shared_getattro(PyObject *object, PyObject *name) {
    const int index = attribute_of(name);
    if ((unsigned)index < FEAGI_FIELDS) {
        return get_field((Shared *)object, (unsigned)index);
    }
    if (index >= 0) {
        return get_hash((Shared *)object, (unsigned)index - FEAGI_FIELDS);
    }
    PyObject *found = PyObject_GenericGetAttr(object, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return found;
    }
    const int slow = attribute_named(name);
    if (slow >= 0) {
        PyErr_Clear();
        return shared_getattro(object, attribute_names[slow]);
    }
    // Names with an underscore in front are Python's own protocols: they are asked for to find that they are not there.
    PyObject *type, *value, *trace;
    PyErr_Fetch(&type, &value, &trace);
    Py_ssize_t len;
    const char *text = PyUnicode_AsUTF8AndSize(name, &len);
    if (text && text[0] != '_') {
        Py_XDECREF(type);
        Py_XDECREF(value);
        Py_XDECREF(trace);
        return raise_error(FEAGI_ERR_FIELD, name, NULL);
    }
    PyErr_Restore(type, value, trace);
    return NULL;
}

// The number that a Python value stands for in a field or hash. Returns 0, or -1 with an exception set.
static int number_of(unsigned index, PyObject *object, uint64_t *value) {
    if (index < FEAGI_FIELDS && feagi_fields[index].type == FEAGI_TYPE_F32) {
        const double number = PyFloat_AsDouble(object);
        if (number == -1.0 && PyErr_Occurred()) {
            goto refused;
        }
        const float single = (float)number;
        if (isinf(single) && !isinf(number)) {
            goto refused;
        }
        uint32_t bits;
        memcpy(&bits, &single, sizeof bits);
        *value = bits;
        return 0;
    }
    if (PyLong_Check(object)) {
        *value = PyLong_AsUnsignedLongLong(object);
        if (*value != (uint64_t)-1 || !PyErr_Occurred()) {
            return 0;
        }
    } else {
        PyObject *whole = PyNumber_Index(object); // numpy's integers, say
        if (whole) {
            *value = PyLong_AsUnsignedLongLong(whole);
            Py_DECREF(whole);
            if (*value != (uint64_t)-1 || !PyErr_Occurred()) {
                return 0;
            }
        }
    }
refused:
    PyErr_Clear();
    raise_error(FEAGI_ERR_RANGE, attribute_names[index], object);
    return -1;
}

// Keeps a write back for the thread's update.
static int update_keep(Shared *self, unsigned kind, unsigned field, uint64_t value) {
    for (uint32_t i = self->count; kind == FEAGI_STATE_SET && i--;) {
        if (self->writes[i].field == field) {
            // What came before it is of no account.
            memmove(&self->writes[i], &self->writes[i + 1], (self->count - i - 1) * sizeof *self->writes);
            self->count--;
        }
    }
    if (self->count == FEAGI_STATE_UPDATE_WRITES) {
        PyErr_Format(PyExc_ValueError, "an update takes %u writes: make two of it", (unsigned)FEAGI_STATE_UPDATE_WRITES);
        return -1;
    }
    self->writes[self->count++] = (feagi_state_write_t){(uint8_t)kind, (uint8_t)field, value};
    return 0;
}

// What most writes are: an int into a u32, and no update open. Whether it was that.
static inline bool set_common(Shared *self, unsigned field, PyObject *object) {
    const feagi_field_t *f = &feagi_fields[field];
    if (__builtin_expect(!self->open || !self->writable || self->updating || !object || !PyLong_CheckExact(object), 0) ||
        f->type != FEAGI_TYPE_U32 || !(f->flags & FEAGI_FIELD_WRITABLE)) {
        return false;
    }
    const unsigned long long value = PyLong_AsUnsignedLongLong(object);
    if (__builtin_expect(value > UINT32_MAX, 0)) {
        PyErr_Clear(); // set_field finds it once more, and says it
        return false;
    }
    feagi_state_store_u32(&self->region, f->offset, (uint32_t)value);
    return true;
}

static int raise_undeletable(void) {
    PyErr_SetString(PyExc_AttributeError, "a field cannot be deleted");
    return -1;
}

static int set_field(Shared *self, unsigned field, PyObject *object) {
    if (set_common(self, field, object)) {
        return 0;
    }
    uint64_t value;
    if (check_writable(self)) {
        return -1;
    }
    if (!object) {
        return raise_undeletable();
    }
    if (!(feagi_fields[field].flags & FEAGI_FIELD_WRITABLE)) {
        raise_error(FEAGI_ERR_READ_ONLY, attribute_names[field], object);
        return -1;
    }
    if (number_of(field, object, &value)) {
        return -1;
    }
    int status;
    if (__builtin_expect(self->updating != 0, 0) && in_update(self)) {
        status = feagi_state_check(field, FEAGI_STATE_SET, &value);
        if (!status) {
            return update_keep(self, FEAGI_STATE_SET, field, value);
        }
    } else {
        status = feagi_state_set(&self->region, field, value, NULL);
    }
    if (status) {
        raise_error(status, attribute_names[field], object);
        return -1;
    }
    return 0;
}

static int set_hash(Shared *self, unsigned hash, PyObject *object) {
    uint64_t value;
    if (check_writable(self)) {
        return -1;
    }
    if (!object) {
        return raise_undeletable();
    }
    if (number_of(FEAGI_FIELDS + hash, object, &value)) {
        return -1;
    }
    if (self->updating && in_update(self)) {
        return update_keep(self, FEAGI_STATE_SET, FEAGI_STATE_HASH | hash, value);
    }
    feagi_hashes_set(&self->region, hash, value);
    return 0;
}

int shared_setattro(PyObject *object, PyObject *name, PyObject *value) {
    const int index = attribute_of(name);
    if ((unsigned)index < FEAGI_FIELDS) {
        return set_field((Shared *)object, (unsigned)index, value);
    }
    if (index >= 0) {
        return set_hash((Shared *)object, (unsigned)index - FEAGI_FIELDS, value);
    }
    const int slow = attribute_named(name);
    if (slow >= 0) {
        return shared_setattro(object, attribute_names[slow], value);
    }
    // A class over this one has attributes of its own, which begin with an underscore; anything else is a field misspelt.
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    if (text && text[0] == '_') {
        return PyObject_GenericSetAttr(object, name, value);
    }
    raise_error(FEAGI_ERR_FIELD, name, value);
    return -1;
}

static PyObject *change_field(Shared *self, PyObject *const *args, Py_ssize_t count, unsigned kind) {
    if (check_writable(self)) {
        return NULL;
    }
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "takes a field's name and an amount");
        return NULL;
    }
    const int field = attribute_named(args[0]);
    if (field < 0 || field >= (int)FEAGI_FIELDS) {
        return raise_error(field < 0 ? FEAGI_ERR_FIELD : FEAGI_ERR_OPERATION, args[0], args[1]);
    }
    uint64_t amount = 0;
    int status = feagi_state_check((unsigned)field, kind, &amount);
    if (status) {
        return raise_error(status, args[0], args[1]);
    }
    if (number_of((unsigned)field, args[1], &amount)) {
        return NULL;
    }
    if (self->updating && in_update(self)) {
        status = feagi_state_check((unsigned)field, kind, &amount);
        if (!status) {
            return update_keep(self, kind, (unsigned)field, amount) ? NULL : get_field(self, (unsigned)field);
        }
        return raise_error(status, args[0], args[1]);
    }
    uint64_t stored;
    status = kind == FEAGI_STATE_ADD ? feagi_state_add(&self->region, (unsigned)field, amount, &stored)
                                     : feagi_state_subtract(&self->region, (unsigned)field, amount, &stored);
    return status ? raise_error(status, args[0], args[1]) : PyLong_FromUnsignedLongLong(stored);
}

PyObject *shared_add_field(Shared *self, PyObject *const *args, Py_ssize_t count) {
    return change_field(self, args, count, FEAGI_STATE_ADD);
}

PyObject *shared_subtract_field(Shared *self, PyObject *const *args, Py_ssize_t count) {
    return change_field(self, args, count, FEAGI_STATE_SUBTRACT);
}

PyObject *shared_begin_update(Shared *self, PyObject *unused) {
    (void)unused;
    unsigned long none = 0;
    if (check_writable(self)) {
        return NULL;
    }
    if (!__atomic_compare_exchange_n(&self->updating, &none, PyThread_get_thread_ident(), false, __ATOMIC_ACQ_REL,
                                     __ATOMIC_ACQUIRE)) {
        PyErr_SetString(PyExc_RuntimeError, "an update is open already");
        return NULL;
    }
    self->count = 0;
    Py_RETURN_NONE;
}

PyObject *shared_end_update(Shared *self, PyObject *object) {
    const int commit = PyObject_IsTrue(object);
    if (commit < 0) {
        return NULL;
    }
    if (!in_update(self)) {
        PyErr_SetString(PyExc_RuntimeError, "no update of this thread is open");
        return NULL;
    }
    int status = 0;
    const bool usable = self->open && self->writable;
    if (commit && self->count && usable) {
        status = feagi_state_update(&self->region, self->writes, self->count);
    }
    __atomic_store_n(&self->updating, 0, __ATOMIC_RELEASE);
    if (!usable) {
        raise_closed();
        return NULL;
    }
    if (status) {
        return raise_error(status, NULL, NULL);
    }
    Py_RETURN_NONE;
}
