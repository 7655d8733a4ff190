// CPython's door to a shared region. Correct from several threads and processes without the interpreter's lock: all that is
// written here after set-up is in the region, through the core's atomic operations, or belongs to the one thread of an update.
#include "_core.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "feagi_agents.h"
#include "feagi_events.h"
#include "feagi_hashes.h"
#include "feagi_image.h"
#include "feagi_locks.h"
#include "feagi_shared.h"
#include "feagi_state.h"
#include "feagi_stats.h"
#include "feagi_windows.h"

// ------------------------------------------------------------------------------------------------------ processes

// A process's name as an owner: 1, 23 bits of when it started, 24 bits of its number, 16 bits for its own use. A number that is
// used again comes with another start.
#define PROCESS_BIT (1ull << 63)
#define STARTED(owner) ((uint32_t)((owner) >> 40) & 0x7fffffu)
#define NUMBER(owner) ((uint32_t)((owner) >> 16) & 0xffffffu)

static uint64_t process_self;
static uint32_t machine_start; // differs from one start of the machine to the next

static uint32_t mix(uint32_t hash, const char *bytes, size_t len) {
    while (len--) {
        hash = (hash ^ (uint8_t)*bytes++) * 0x01000193u;
    }
    return hash;
}

// Reads a small file. Returns its length, or -1.
static ssize_t read_file(const char *path, char *out, size_t room) {
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    const ssize_t len = read(fd, out, room - 1);
    close(fd);
    if (len >= 0) {
        out[len] = 0;
    }
    return len;
}

// 23 bits of when a process started, 0 if the system does not say.
static uint32_t started(uint32_t pid) {
    char path[40], text[1024];
    snprintf(path, sizeof path, "/proc/%u/stat", (unsigned)pid);
    if (read_file(path, text, sizeof text) <= 0) {
        return 0;
    }
    // The 22nd field; the second is a name in parentheses, which may have anything in it.
    const char *at = strrchr(text, ')');
    for (int field = 2; at && field < 22; field++) {
        at = strchr(at + 1, ' ');
    }
    if (!at) {
        return 0;
    }
    const size_t len = strcspn(at + 1, " ");
    return (mix(machine_start, at + 1, len) & 0x7fffffu) | 1;
}

static void name_process(void) {
    const uint32_t pid = (uint32_t)getpid();
    __atomic_store_n(&process_self, PROCESS_BIT | (uint64_t)started(pid) << 40 | (uint64_t)(pid & 0xffffffu) << 16,
                     __ATOMIC_RELEASE);
}

static bool is_gone(uint64_t owner) {
    if (!(owner & PROCESS_BIT)) {
        return false;
    }
    const uint64_t self = __atomic_load_n(&process_self, __ATOMIC_ACQUIRE);
    if (NUMBER(owner) == NUMBER(self)) {
        return STARTED(owner) != STARTED(self);
    }
    if (kill((pid_t)NUMBER(owner), 0) && errno == ESRCH) {
        return true;
    }
    const uint32_t now = started(NUMBER(owner));
    return now && STARTED(owner) && now != STARTED(owner);
}

#define SPINS 200u      // looks at the lock before the processor is given away: its holder is within a microsecond of its end
#define YIELDS 100u     // then so many times to whoever wants it
#define SLEEP_NS 200000 // then for so long each
#define SLEEPS 25000u   // and no longer than this together: 5 s; whoever holds it then is stopped
static int wait_for(void *context, uint64_t owner, uint32_t tries) {
    (void)context;
    if (tries == UINT32_MAX) {
        return is_gone(owner) ? FEAGI_SHARED_GONE : FEAGI_SHARED_WAIT;
    }
    if (tries < SPINS) {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    } else if (tries < SPINS + YIELDS) {
        sched_yield();
    } else if (tries < SPINS + YIELDS + SLEEPS) {
        if (is_gone(owner)) {
            return FEAGI_SHARED_GONE;
        }
        const struct timespec pause = {0, SLEEP_NS};
        nanosleep(&pause, NULL);
    } else {
        return FEAGI_SHARED_GIVE_UP;
    }
    return FEAGI_SHARED_WAIT;
}

// ------------------------------------------------------------------------------------------------------- the object

typedef struct {
    PyObject_HEAD feagi_region_t region;
    feagi_share_t share;
    Py_buffer buffer;
    bool open, writable;
    // An update: the thread that it belongs to, 0 for none, and what it keeps back.
    unsigned long updating;
    uint32_t count;
    feagi_state_write_t writes[FEAGI_STATE_UPDATE_WRITES];
} Shared;

// The field of an attribute's name. Names that the compiler has seen are interned, so that the pointer tells; a power of two
// with room enough that most names are at their first place.
#define NAME_SLOTS 256u
static struct {
    PyObject *name;
    unsigned field;
} names[NAME_SLOTS];
static PyObject *field_names[FEAGI_FIELDS];

// Members of the enum fields, by number.
static struct {
    PyObject **members;
    uint32_t count;
} enums[FEAGI_FIELDS];

static PyObject *make_error; // callable(status, field name, value)

static uint32_t name_slot(PyObject *name) {
    return (uint32_t)(((uintptr_t)name >> 4) * 0x9e3779b1u >> 8) % NAME_SLOTS;
}

// The field with this very string as its name, or -1.
static inline int field_of(PyObject *name) {
    for (uint32_t slot = name_slot(name); names[slot].name; slot = (slot + 1) % NAME_SLOTS) {
        if (names[slot].name == name) {
            return (int)names[slot].field;
        }
    }
    return -1;
}

// The field of this name, whoever made the string, or -1.
static int field_named(PyObject *name) {
    int field = field_of(name);
    for (unsigned i = 0; field < 0 && PyUnicode_Check(name) && i < FEAGI_FIELDS; i++) {
        if (PyUnicode_Compare(name, field_names[i]) == 0) {
            field = (int)i;
        }
    }
    return field;
}

static PyObject *raise_error(int status, PyObject *name, PyObject *value) {
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

static int closed(void) {
    PyErr_SetString(PyExc_ValueError, "the region is closed");
    return -1;
}

static inline int check_open(Shared *self) {
    return self->open ? 0 : closed();
}

static int read_only(Shared *self) {
    if (!check_open(self)) {
        PyErr_SetString(PyExc_TypeError, "the region is mapped read-only");
    }
    return -1;
}

static inline int check_writable(Shared *self) {
    return self->open && self->writable ? 0 : read_only(self);
}

static inline bool in_update(Shared *self) {
    const unsigned long thread = __atomic_load_n(&self->updating, __ATOMIC_RELAXED);
    return thread && thread == PyThread_get_thread_ident();
}

// ---------------------------------------------------------------------------------------------------------- fields

// A field's value as this thread's update leaves it.
static uint64_t value_in_update(Shared *self, unsigned field, uint64_t value) {
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

static inline PyObject *get_field(Shared *self, unsigned field) {
    if (!self->open) {
        closed();
        return NULL;
    }
    uint64_t value = feagi_state_get(&self->region, field);
    if (__builtin_expect(self->updating != 0, 0) && in_update(self)) {
        value = value_in_update(self, field, value);
    }
    return object_of(field, value);
}

static PyObject *shared_getattro(PyObject *object, PyObject *name) {
    const int field = field_of(name);
    if (field >= 0) {
        return get_field((Shared *)object, (unsigned)field);
    }
    PyObject *found = PyObject_GenericGetAttr(object, name);
    if (found || !PyErr_ExceptionMatches(PyExc_AttributeError)) {
        return found;
    }
    const int slow = field_named(name);
    if (slow >= 0) {
        PyErr_Clear();
        return get_field((Shared *)object, (unsigned)slow);
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

// The number that a Python value stands for in a field. Returns 0, or -1 with an exception set.
static int number_of(unsigned field, PyObject *object, uint64_t *value) {
    if (feagi_fields[field].type == FEAGI_TYPE_F32) {
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
        PyObject *index = PyNumber_Index(object); // numpy's integers, say
        if (index) {
            *value = PyLong_AsUnsignedLongLong(index);
            Py_DECREF(index);
            if (*value != (uint64_t)-1 || !PyErr_Occurred()) {
                return 0;
            }
        }
    }
refused:
    PyErr_Clear();
    raise_error(FEAGI_ERR_RANGE, field_names[field], object);
    return -1;
}

// Keeps a write back for the thread's update.
static int keep(Shared *self, unsigned kind, unsigned field, uint64_t value) {
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

static int set_field(Shared *self, unsigned field, PyObject *object) {
    uint64_t value;
    if (check_writable(self)) {
        return -1;
    }
    if (!object) {
        PyErr_SetString(PyExc_AttributeError, "a field cannot be deleted");
        return -1;
    }
    if (!(feagi_fields[field].flags & FEAGI_FIELD_WRITABLE)) {
        raise_error(FEAGI_ERR_READ_ONLY, field_names[field], object);
        return -1;
    }
    if (number_of(field, object, &value)) {
        return -1;
    }
    int status;
    if (__builtin_expect(self->updating != 0, 0) && in_update(self)) {
        status = feagi_state_check(field, FEAGI_STATE_SET, &value);
        if (!status) {
            return keep(self, FEAGI_STATE_SET, field, value);
        }
    } else {
        status = feagi_state_set(&self->region, field, value, NULL);
    }
    if (status) {
        raise_error(status, field_names[field], object);
        return -1;
    }
    return 0;
}

static int shared_setattro(PyObject *object, PyObject *name, PyObject *value) {
    const int field = field_of(name);
    if (field >= 0) {
        return set_field((Shared *)object, (unsigned)field, value);
    }
    const int slow = field_named(name);
    if (slow >= 0) {
        return set_field((Shared *)object, (unsigned)slow, value);
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
    const int field = field_named(args[0]);
    if (field < 0) {
        return raise_error(FEAGI_ERR_FIELD, args[0], NULL);
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
            return keep(self, kind, (unsigned)field, amount) ? NULL : get_field(self, (unsigned)field);
        }
        return raise_error(status, args[0], args[1]);
    }
    uint64_t stored;
    status = kind == FEAGI_STATE_ADD ? feagi_state_add(&self->region, (unsigned)field, amount, &stored)
                                     : feagi_state_subtract(&self->region, (unsigned)field, amount, &stored);
    return status ? raise_error(status, args[0], args[1]) : PyLong_FromUnsignedLongLong(stored);
}

static PyObject *shared_add_field(Shared *self, PyObject *const *args, Py_ssize_t count) {
    return change_field(self, args, count, FEAGI_STATE_ADD);
}

static PyObject *shared_subtract_field(Shared *self, PyObject *const *args, Py_ssize_t count) {
    return change_field(self, args, count, FEAGI_STATE_SUBTRACT);
}

static PyObject *shared_begin_update(Shared *self, PyObject *unused) {
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

static PyObject *shared_end_update(Shared *self, PyObject *object) {
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
        closed();
        return NULL;
    }
    if (status) {
        return raise_error(status, NULL, NULL);
    }
    Py_RETURN_NONE;
}

// ------------------------------------------------------------------------------------------------------- arguments

// A whole number up to `most`. Returns 0, or -1 with OverflowError or TypeError set.
static int whole(PyObject *object, uint64_t most, const char *what, uint64_t *value) {
    *value = PyLong_AsUnsignedLongLong(object);
    if (*value == (uint64_t)-1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_OverflowError)) {
            PyErr_Clear();
            PyErr_Format(PyExc_OverflowError, "%s %R is not in 0..%llu", what, object, (unsigned long long)most);
        }
        return -1;
    }
    if (*value > most) {
        PyErr_Format(PyExc_OverflowError, "%s %R is not in 0..%llu", what, object, (unsigned long long)most);
        return -1;
    }
    return 0;
}

static int check_count(Py_ssize_t count, Py_ssize_t wanted) {
    if (count != wanted) {
        PyErr_Format(PyExc_TypeError, "takes %zd arguments, not %zd", wanted, count);
        return -1;
    }
    return 0;
}

// The bytes of a text argument.
static int text_of(PyObject *object, const uint8_t **text, size_t *len_bytes) {
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
    Py_ssize_t len;
    *text = (const uint8_t *)PyUnicode_AsUTF8AndSize(object, &len);
    *len_bytes = (size_t)len;
    return *text ? 0 : -1;
}

// ----------------------------------------------------------------------------------------------------------- hashes

static PyObject *shared_get_hash(Shared *self, PyObject *object) {
    uint64_t index;
    if (check_open(self) || whole(object, FEAGI_HASHES_COUNT - 1, "hash", &index)) {
        return NULL;
    }
    uint64_t value = feagi_hashes_get(&self->region, (unsigned)index);
    if (self->updating && in_update(self)) {
        value = value_in_update(self, FEAGI_STATE_HASH | (unsigned)index, value);
    }
    return PyLong_FromUnsignedLongLong(value);
}

static PyObject *shared_set_hash(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t index, value;
    if (check_writable(self) || check_count(count, 2) || whole(args[0], FEAGI_HASHES_COUNT - 1, "hash", &index) ||
        whole(args[1], UINT64_MAX, "value", &value)) {
        return NULL;
    }
    if (self->updating && in_update(self)) {
        if (keep(self, FEAGI_STATE_SET, FEAGI_STATE_HASH | (unsigned)index, value)) {
            return NULL;
        }
    } else {
        feagi_hashes_set(&self->region, (unsigned)index, value);
    }
    Py_RETURN_NONE;
}

// ----------------------------------------------------------------------------------------------------------- agents

static PyObject *shared_register(Shared *self, PyObject *const *args, Py_ssize_t count) {
    const uint8_t *id, *metadata;
    size_t id_len, metadata_len;
    uint64_t type;
    if (check_writable(self) || check_count(count, 3) || text_of(args[0], &id, &id_len) ||
        whole(args[1], UINT8_MAX, "agent type", &type) || text_of(args[2], &metadata, &metadata_len)) {
        return NULL;
    }
    uint32_t handle;
    const int status = feagi_agents_register(&self->region, id, id_len, (uint8_t)type, metadata, metadata_len, &handle);
    return status ? PyLong_FromLong(status) : PyLong_FromUnsignedLong(handle);
}

static PyObject *shared_deregister(Shared *self, PyObject *object) {
    const uint8_t *id;
    size_t id_len;
    if (check_writable(self) || text_of(object, &id, &id_len)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_agents_deregister(&self->region, id, id_len));
}

static PyObject *shared_heartbeat(Shared *self, PyObject *object) {
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
        if (text_of(object, &id, &id_len)) {
            return NULL;
        }
        status = feagi_agents_heartbeat(&self->region, id, id_len);
    }
    if (status) {
        return raise_error(status, NULL, object);
    }
    Py_RETURN_NONE;
}

static PyObject *shared_find_agent(Shared *self, PyObject *object) {
    const uint8_t *id;
    size_t id_len;
    if (check_open(self) || text_of(object, &id, &id_len)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_agents_find(&self->region, id, id_len));
}

static PyObject *shared_read_agent(Shared *self, PyObject *object) {
    uint64_t slot;
    if (check_open(self) || whole(object, self->region.agents.capacity - 1u, "agent slot", &slot)) {
        return NULL;
    }
    uint64_t entry[4096 / 8]; // no region has longer ones
    if (!feagi_agents_read(&self->region, (uint32_t)slot, entry)) {
        Py_RETURN_NONE;
    }
    return PyBytes_FromStringAndSize((const char *)entry, self->region.agents.entry_len);
}

static PyObject *shared_evict(Shared *self, PyObject *object) {
    uint64_t age_ms;
    if (check_writable(self) || whole(object, UINT64_MAX, "age", &age_ms)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_agents_evict(&self->region, age_ms));
}

// ------------------------------------------------------------------------------------------------ locks and windows

static PyObject *shared_try_lock(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t area, owner;
    if (check_writable(self) || check_count(count, 2) || whole(args[0], UINT32_MAX, "area", &area) ||
        whole(args[1], UINT64_MAX, "owner", &owner)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_locks_try_lock(&self->region, (uint32_t)area, owner));
}

static PyObject *shared_unlock(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t area, owner;
    if (check_writable(self) || check_count(count, 2) || whole(args[0], UINT32_MAX, "area", &area) ||
        whole(args[1], UINT64_MAX, "owner", &owner)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_locks_unlock(&self->region, (uint32_t)area, owner));
}

static PyObject *shared_take_over(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t area, old, new;
    if (check_writable(self) || check_count(count, 3) || whole(args[0], UINT32_MAX, "area", &area) ||
        whole(args[1], UINT64_MAX, "owner", &old) || whole(args[2], UINT64_MAX, "owner", &new)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_locks_take_over(&self->region, (uint32_t)area, old, new));
}

static PyObject *shared_lock_owner(Shared *self, PyObject *object) {
    uint64_t area;
    if (check_open(self) || whole(object, UINT32_MAX, "area", &area)) {
        return NULL;
    }
    return PyLong_FromUnsignedLongLong(feagi_locks_owner(&self->region, (uint32_t)area));
}

static PyObject *shared_get_window(Shared *self, PyObject *object) {
    uint64_t area;
    if (check_open(self) || whole(object, UINT32_MAX, "area", &area)) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(feagi_windows_get(&self->region, (uint32_t)area));
}

static PyObject *shared_set_window(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t area, window;
    if (check_writable(self) || check_count(count, 2) || whole(args[0], UINT32_MAX, "area", &area) ||
        whole(args[1], UINT32_MAX, "window", &window)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_windows_set(&self->region, (uint32_t)area, (uint32_t)window));
}

static PyObject *shared_remove_window(Shared *self, PyObject *object) {
    uint64_t area;
    if (check_writable(self) || whole(object, UINT32_MAX, "area", &area)) {
        return NULL;
    }
    return PyBool_FromLong(feagi_windows_remove(&self->region, (uint32_t)area));
}

static PyObject *shared_set_default_window(Shared *self, PyObject *object) {
    uint64_t window;
    if (check_writable(self) || whole(object, UINT32_MAX, "window", &window)) {
        return NULL;
    }
    feagi_windows_set_default(&self->region, (uint32_t)window);
    Py_RETURN_NONE;
}

// ------------------------------------------------------------------------------------------------------- statistics

static PyObject *shared_init_stats(Shared *self, PyObject *object) {
    const uint8_t *id;
    size_t id_len;
    if (check_writable(self) || text_of(object, &id, &id_len)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_stats_init(&self->region, id, id_len));
}

static PyObject *shared_find_stats(Shared *self, PyObject *object) {
    const uint8_t *id;
    size_t id_len;
    if (check_open(self) || text_of(object, &id, &id_len)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_stats_find(&self->region, id, id_len));
}

static int slot_and_count(Shared *self, PyObject *const *args, uint64_t *slot, uint64_t *count) {
    return whole(args[0], self->region.stats.capacity - 1u, "slot", slot) ||
           whole(args[1], FEAGI_STATS_COUNTS - 1, "count", count);
}

static PyObject *shared_get_stat(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t slot, which;
    if (check_open(self) || check_count(count, 2) || slot_and_count(self, args, &slot, &which)) {
        return NULL;
    }
    return PyLong_FromUnsignedLong(feagi_stats_get(&self->region, (uint32_t)slot, (unsigned)which));
}

static PyObject *shared_set_stat(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t slot, which, value;
    if (check_writable(self) || check_count(count, 3) || slot_and_count(self, args, &slot, &which) ||
        whole(args[2], UINT32_MAX, "value", &value)) {
        return NULL;
    }
    feagi_stats_set(&self->region, (uint32_t)slot, (unsigned)which, (uint32_t)value);
    Py_RETURN_NONE;
}

static PyObject *shared_add_stat(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t slot, which;
    if (check_writable(self) || check_count(count, 3) || slot_and_count(self, args, &slot, &which)) {
        return NULL;
    }
    const long long amount = PyLong_AsLongLong(args[2]);
    if (amount == -1 && PyErr_Occurred()) {
        return NULL;
    }
    if (amount > (long long)UINT32_MAX || amount < -(long long)UINT32_MAX) {
        return PyErr_Format(PyExc_OverflowError, "amount %lld does not fit 32 bits", amount);
    }
    return PyLong_FromUnsignedLong(amount < 0
                                       ? feagi_stats_subtract(&self->region, (uint32_t)slot, (unsigned)which, (uint32_t)-amount)
                                       : feagi_stats_add(&self->region, (uint32_t)slot, (unsigned)which, (uint32_t)amount));
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

static PyObject *shared_read_event(Shared *self, PyObject *object) {
    return check_open(self) ? NULL : shared_event(&self->region, object);
}

static PyObject *shared_emit(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t kind, arg;
    if (check_writable(self) || check_count(count, 2) || whole(args[0], UINT16_MAX, "kind", &kind) ||
        whole(args[1], UINT32_MAX, "arg", &arg)) {
        return NULL;
    }
    return PyLong_FromLong(feagi_events_push(&self->region, (uint16_t)kind, (uint32_t)arg));
}

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
    if (check_open(self) || check_count(count, 2)) {
        return NULL;
    }
    const uint32_t end = self->region.events_at;
    if (whole(args[0], end, "start", &start) || whole(args[1], end - start, "length", &len)) {
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
    if (check_open(self) || whole(object, FEAGI_SECTION_EVENTS, "section", &number)) {
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

static void release(Shared *self) {
    if (self->open) {
        self->open = false;
        PyBuffer_Release(&self->buffer);
    }
}

static int shared_init(Shared *self, PyObject *args, PyObject *kwargs) {
    static char *keywords[] = {"buffer", "create", "cached_clock", NULL};
    PyObject *object, *create = Py_None;
    int cached_clock = 0;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|Op:SharedRegion", keywords, &object, &create, &cached_clock)) {
        return -1;
    }
    release(self);
    bool writable = !PyObject_GetBuffer(object, &self->buffer, PyBUF_WRITABLE);
    if (!writable) {
        PyErr_Clear();
        if (PyObject_GetBuffer(object, &self->buffer, PyBUF_SIMPLE)) {
            return -1;
        }
    }
    self->share.self = &process_self;
    self->share.wait = wait_for;
    self->share.context = NULL;
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
    return 0;
}

static PyObject *shared_close(Shared *self, PyObject *unused) {
    (void)unused;
    release(self);
    Py_RETURN_NONE;
}

static void shared_dealloc(Shared *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    release(self);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *shared_tick(Shared *self, PyObject *const *args, Py_ssize_t count) {
    uint64_t now_ms = feagi_port_now_ms();
    if (check_open(self) || (count && (check_count(count, 1) || whole(args[0], UINT64_MAX, "time", &now_ms)))) {
        return NULL;
    }
    feagi_region_set_time(&self->region, now_ms);
    Py_RETURN_NONE;
}

// -------------------------------------------------------------------------------------------------------- the type

enum { REGION_LEN, IMAGE_LEN, PAGES, NAMESPACE, AGENTS, AGENT_LEN, EVENTS_CAPACITY, EVENTS_HEAD };

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
        case PAGES:
            return PyLong_FromUnsignedLong(r->pages);
        case NAMESPACE:
            return PyLong_FromUnsignedLongLong(feagi_port_load_u64(&self->share.trailer->pid_namespace));
        case AGENTS:
            return PyLong_FromUnsignedLong(r->agents.capacity);
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
static PyGetSetDef shared_getset[] = {
    // Documented in _core.pyi.
    GETTER("region_len", REGION_LEN),
    GETTER("image_len", IMAGE_LEN),
    GETTER("pages", PAGES),
    GETTER("pid_namespace", NAMESPACE),
    GETTER("agents", AGENTS),
    GETTER("agent_len", AGENT_LEN),
    GETTER("events_capacity", EVENTS_CAPACITY),
    GETTER("events_head", EVENTS_HEAD),
    {"writable", (getter)shared_get_writable, NULL, NULL, NULL},
    {"closed", (getter)shared_get_closed, NULL, NULL, NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

#define METHOD(name, function, flags)                                                                                            \
    { name, (PyCFunction)(void (*)(void))(function), flags, NULL }
static PyMethodDef shared_methods[] = {
    // Documented in _core.pyi.
    METHOD("close", shared_close, METH_NOARGS),
    METHOD("tick", shared_tick, METH_FASTCALL),
    METHOD("add", shared_add_field, METH_FASTCALL),
    METHOD("subtract", shared_subtract_field, METH_FASTCALL),
    METHOD("get_hash", shared_get_hash, METH_O),
    METHOD("set_hash", shared_set_hash, METH_FASTCALL),
    METHOD("begin_update", shared_begin_update, METH_NOARGS),
    METHOD("end_update", shared_end_update, METH_O),
    METHOD("register", shared_register, METH_FASTCALL),
    METHOD("deregister", shared_deregister, METH_O),
    METHOD("heartbeat", shared_heartbeat, METH_O),
    METHOD("find_agent", shared_find_agent, METH_O),
    METHOD("read_agent", shared_read_agent, METH_O),
    METHOD("evict", shared_evict, METH_O),
    METHOD("try_lock", shared_try_lock, METH_FASTCALL),
    METHOD("unlock", shared_unlock, METH_FASTCALL),
    METHOD("take_over", shared_take_over, METH_FASTCALL),
    METHOD("lock_owner", shared_lock_owner, METH_O),
    METHOD("get_window", shared_get_window, METH_O),
    METHOD("set_window", shared_set_window, METH_FASTCALL),
    METHOD("remove_window", shared_remove_window, METH_O),
    METHOD("set_default_window", shared_set_default_window, METH_O),
    METHOD("init_stats", shared_init_stats, METH_O),
    METHOD("find_stats", shared_find_stats, METH_O),
    METHOD("get_stat", shared_get_stat, METH_FASTCALL),
    METHOD("set_stat", shared_set_stat, METH_FASTCALL),
    METHOD("add_stat", shared_add_stat, METH_FASTCALL),
    METHOD("emit", shared_emit, METH_FASTCALL),
    METHOD("read_event", shared_read_event, METH_O),
    METHOD("snapshot", shared_snapshot, METH_FASTCALL),
    METHOD("section", shared_section, METH_O),
    METHOD("restore", shared_restore, METH_O),
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

static PyObject *module_set_enums(PyObject *module, PyObject *mapping) {
    (void)module;
    for (unsigned field = 0; field < FEAGI_FIELDS; field++) {
        PyObject *members = PyDict_GetItem(mapping, field_names[field]);
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

static PyObject *module_set_errors(PyObject *module, PyObject *make) {
    (void)module;
    Py_INCREF(make);
    PyObject *old = make_error;
    make_error = make;
    Py_XDECREF(old);
    Py_RETURN_NONE;
}

static PyObject *module_shared_len(PyObject *module, PyObject *object) {
    (void)module;
    uint64_t number;
    if (whole(object, UINT8_MAX, "profile", &number)) {
        return NULL;
    }
    const feagi_profile_t *profile = feagi_region_profile((uint8_t)number);
    return profile ? PyLong_FromUnsignedLong(feagi_shared_len(feagi_region_len(profile)))
                   : PyErr_Format(PyExc_ValueError, "there is no profile %lu", (unsigned long)number);
}

static PyObject *module_process_id(PyObject *module, PyObject *unused) {
    (void)module;
    (void)unused;
    return PyLong_FromUnsignedLongLong(__atomic_load_n(&process_self, __ATOMIC_ACQUIRE));
}

static PyObject *module_is_gone(PyObject *module, PyObject *object) {
    (void)module;
    uint64_t owner;
    return whole(object, UINT64_MAX, "owner", &owner) ? NULL : PyBool_FromLong(is_gone(owner));
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
    if ((count == 2 && whole(args[1], UINT8_MAX, "profile", &profile)) || PyObject_GetBuffer(args[0], &image, PyBUF_SIMPLE)) {
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

static int name_fields(void) {
    for (unsigned field = 0; field < FEAGI_FIELDS; field++) {
        PyObject *name = PyUnicode_InternFromString(feagi_field_names[field]);
        if (!name) {
            return -1;
        }
        uint32_t slot = name_slot(name);
        while (names[slot].name) {
            slot = (slot + 1) % NAME_SLOTS;
        }
        names[slot].name = field_names[field] = name; // for as long as the process lives
        names[slot].field = field;
    }
    return 0;
}

int shared_add(PyObject *module) {
    if (!process_self) {
        char text[64];
        const ssize_t len = read_file("/proc/sys/kernel/random/boot_id", text, sizeof text);
        machine_start = mix(0x811c9dc5u, text, len > 0 ? (size_t)len : 0);
        name_process();
        if (pthread_atfork(NULL, NULL, name_process) || name_fields()) {
            return -1;
        }
    }
    PyObject *type = PyType_FromSpec(&shared_spec);
    const int status = type ? PyObject_SetAttrString(module, "SharedRegion", type) : -1;
    Py_XDECREF(type);
    return status ? status : PyModule_AddFunctions(module, module_functions);
}
