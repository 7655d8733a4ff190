// Fields as attributes, updates that group writes of them, and how what goes wrong becomes an exception.
#include "_shared.h"

#include <math.h>
#include <string.h>

#include "feagi_hashes.h"

// For the long ways, so that the short ones save no registers for them.
#define NOINLINE __attribute__((noinline))

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
    raise_as("RegionClosed", "the region is closed");
    return -1;
}

int raise_read_only(Shared *self) {
    if (!check_open(self)) {
        raise_as("InvalidOperation", "the region is mapped read-only: attach without readonly=True to write it");
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

// What the short ways below know of an attribute, at a place that its name's address tells: names that the compiler has seen are
// interned. `scatter` is chosen so that each name has a place to itself; one that has none goes the long way.
#define NAME_PLACES 256u
typedef struct {
    PyObject *name;        // NULL: no attribute's place
    PyObject **members;    // of an enum
    uint16_t at;           // offset in the region, of a field
    uint8_t count;         // members
    uint8_t index;         // a field, or behind the fields a hash
    bool is_u32, is_plain; // is_plain: of which any number can be written, without more
} name_place_t;
static name_place_t places[NAME_PLACES];
static uint32_t scatter = 0x9e3779b1u;
static PyObject *attribute_names[FEAGI_ATTRIBUTES];

// Members of the enum fields, by number.
static struct {
    PyObject **members;
    uint32_t count;
} enums[FEAGI_FIELDS];

static inline name_place_t *place_of(PyObject *name) {
    return &places[(uint32_t)((uintptr_t)name >> 4) * scatter >> 24];
}

// The attribute of this name, whoever made the string: a field, or behind the fields a hash; or -1.
static int attribute_named(PyObject *name) {
    if (place_of(name)->name == name) {
        return place_of(name)->index;
    }
    for (unsigned i = 0; PyUnicode_Check(name) && i < FEAGI_ATTRIBUTES; i++) {
        if (PyUnicode_Compare(name, attribute_names[i]) == 0) {
            return (int)i;
        }
    }
    return -1;
}

// Gives the names their places. Returns whether each has one to itself.
static bool give_places(void) {
    bool all = true;
    memset(places, 0, sizeof places);
    for (unsigned index = 0; index < FEAGI_ATTRIBUTES; index++) {
        name_place_t *place = place_of(attribute_names[index]);
        if (place->name) {
            all = false;
            continue;
        }
        place->name = attribute_names[index];
        place->index = (uint8_t)index;
        if (index >= FEAGI_FIELDS) {
            continue;
        }
        const feagi_field_t *f = &feagi_fields[index];
        place->at = (uint16_t)(FEAGI_HEADER_LEN_BYTES + f->offset);
        place->is_u32 = f->type == FEAGI_TYPE_U32;
        place->is_plain = place->is_u32 && (f->flags & FEAGI_FIELD_WRITABLE);
    }
    return all;
}

int fields_start(void) {
    if (attribute_names[0]) {
        return 0;
    }
    for (unsigned index = 0; index < FEAGI_ATTRIBUTES; index++) {
        attribute_names[index] = PyUnicode_InternFromString(feagi_attribute_names[index]); // for as long as the process lives
        if (!attribute_names[index]) {
            attribute_names[0] = NULL;
            return -1;
        }
    }
    for (unsigned tries = 0; !give_places() && tries < 1000; tries++) {
        scatter += 2 * 0x9e3779b1u; // odd, as it has to stay
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
        name_place_t *place = place_of(attribute_names[field]);
        if (place->index == field) {
            place->members = enums[field].members;
            place->count = (uint8_t)count;
        }
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

// An int of a u32. Where a long is longer, PyLong_FromLong is the shorter way.
static inline PyObject *new_u32(uint32_t value) {
    return sizeof(long) > sizeof value ? PyLong_FromLong((long)value) : PyLong_FromUnsignedLong(value);
}

// Whether an object, which may be NULL, is an int that fits a u32, and is short to be had.
static inline bool u32_of(PyObject *object, uint32_t *value) {
    if (!object || !PyLong_CheckExact(object)) {
        return false;
    }
#ifdef Py_LIMITED_API
    const unsigned long long number = PyLong_AsUnsignedLongLong(object);
    if (number > UINT32_MAX) {
        PyErr_Clear(); // the long way finds it once more, and says it
        return false;
    }
    *value = (uint32_t)number;
    return true;
#elif PY_VERSION_HEX >= 0x030C0000
    const Py_ssize_t number =
        PyUnstable_Long_IsCompact((PyLongObject *)object) ? PyUnstable_Long_CompactValue((PyLongObject *)object) : -1;
    *value = (uint32_t)number;
    return number >= 0 && number <= UINT32_MAX;
#else
    *value = ((PyLongObject *)object)->ob_digit[0];
    return Py_SIZE(object) == 1;
#endif
}

PyObject *field_object(unsigned field, uint64_t value) {
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
            return PyLong_FromUnsignedLongLong(value);
    }
}

static PyObject *get_field(Shared *self, unsigned field) {
    if (check_open(self)) {
        return NULL;
    }
    uint64_t value = feagi_state_get(&self->region, field);
    if (self->updating && in_update(self)) {
        value = update_value(self, field, value);
    }
    return field_object(field, value);
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

NOINLINE static PyObject *get_attribute(Shared *self, unsigned index) {
    return index < FEAGI_FIELDS ? get_field(self, index) : get_hash(self, index - FEAGI_FIELDS);
}

// An attribute that has no name of the compiler's, or is of Python's own making.
NOINLINE static PyObject *get_other(PyObject *object, PyObject *name) {
    PyObject *found = PyObject_GenericGetAttr(object, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return found;
    }
    const int index = attribute_named(name);
    if (index >= 0) {
        PyErr_Clear();
        return get_attribute((Shared *)object, (unsigned)index);
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

PyObject *shared_getattro(PyObject *object, PyObject *name) {
    Shared *self = (Shared *)object;
    const name_place_t *place = place_of(name);
    if (place->name != name) {
        return get_other(object, name);
    }
    if (__builtin_expect(self->readable != NULL, 1)) {
        // What most reads are: an enum's member or a u32.
        const uint8_t *p = self->readable + place->at;
        if (place->is_u32) {
            return new_u32(feagi_port_load_u32((const uint32_t *)(const void *)p));
        }
        if (place->count) {
            const uint8_t value = __atomic_load_n(p, __ATOMIC_ACQUIRE);
            if (value < place->count) {
                Py_INCREF(place->members[value]);
                return place->members[value];
            }
        }
    }
    return get_attribute(self, place->index);
}

// The number that a Python value stands for in an attribute. Returns 0, or -1 with an exception set.
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
        raise_as("CapacityError", "an update takes %u writes, and this is one more: make two updates of it",
                 (unsigned)FEAGI_STATE_UPDATE_WRITES);
        return -1;
    }
    self->writes[self->count++] = (feagi_state_write_t){(uint8_t)kind, (uint8_t)field, value};
    return 0;
}

static int set_field(Shared *self, unsigned field, PyObject *object) {
    uint64_t value;
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
    if (number_of(FEAGI_FIELDS + hash, object, &value)) {
        return -1;
    }
    if (self->updating && in_update(self)) {
        return update_keep(self, FEAGI_STATE_SET, FEAGI_STATE_HASH | hash, value);
    }
    feagi_hashes_set(&self->region, hash, value);
    return 0;
}

// `object`: NULL to delete it.
NOINLINE static int set_attribute(Shared *self, unsigned index, PyObject *object) {
    if (check_writable(self)) {
        return -1;
    }
    if (!object) {
        raise_as("InvalidField", "%U cannot be deleted", attribute_names[index]);
        return -1;
    }
    return index < FEAGI_FIELDS ? set_field(self, index, object) : set_hash(self, index - FEAGI_FIELDS, object);
}

// An attribute that has no name of the compiler's, or is of Python's own making.
NOINLINE static int set_other(PyObject *object, PyObject *name, PyObject *value) {
    const int index = attribute_named(name);
    if (index >= 0) {
        return set_attribute((Shared *)object, (unsigned)index, value);
    }
    // A class over this one has attributes of its own, which begin with an underscore; anything else is a field misspelt.
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    if (text && text[0] == '_') {
        return PyObject_GenericSetAttr(object, name, value);
    }
    raise_error(FEAGI_ERR_FIELD, name, value);
    return -1;
}

int shared_setattro(PyObject *object, PyObject *name, PyObject *value) {
    Shared *self = (Shared *)object;
    const name_place_t *place = place_of(name);
    if (place->name != name) {
        return set_other(object, name, value);
    }
    uint32_t number;
    if (place->is_plain && self->readable && self->writable && u32_of(value, &number)) {
        // What most writes are: an int into a u32.
        feagi_state_store_u32(&self->region, place->at - FEAGI_HEADER_LEN_BYTES, number);
        return 0;
    }
    return set_attribute(self, place->index, value);
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
        return raise_as("InvalidOperation", "an update is open already");
    }
    self->readable = NULL;
    self->count = 0;
    Py_RETURN_NONE;
}

PyObject *shared_end_update(Shared *self, PyObject *object) {
    const int commit = PyObject_IsTrue(object);
    if (commit < 0) {
        return NULL;
    }
    if (!in_update(self)) {
        return raise_as("InvalidOperation", "no update of this thread is open");
    }
    int status = 0;
    const bool usable = self->open && self->writable;
    if (commit && self->count && usable) {
        status = feagi_state_update(&self->region, self->writes, self->count);
    }
    self->readable = self->open ? self->region.base : NULL;
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
