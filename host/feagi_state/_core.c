// CPython's door to a mirror: every access to its memory goes through the core, which knows the layout and does it atomically.
//
// Reading is for any number of threads, publishing for one, the owner's, with or without the interpreter's lock.
// Nothing here knows a serial port, a file or a link.
#include "_core.h"

#include <string.h>

#include "feagi_events.h"
#include "feagi_hashes.h"
#include "feagi_mirror.h"

// Runs that a delta may have. A frame's 253 bytes hold at most 84.
#define RUNS_MAX 128
// A page that changes during each of so many copies has no honest owner.
#define READ_TRIES 1000000u

typedef struct {
    PyObject_HEAD feagi_mirror_map_t map;
    Py_buffer buffer;
    int open;     // the buffer is held
    int writable; // the buffer may be written
} Mirror;

// ------------------------------------------------------------------------------------------------------ helpers

PyObject *raise_as(const char *class_name, const char *format, ...) {
    PyObject *errors = PyImport_ImportModule("feagi_state.errors");
    PyObject *type = errors ? PyObject_GetAttrString(errors, class_name) : NULL;
    if (type) {
        va_list args;
        va_start(args, format);
        PyErr_FormatV(type, format, args);
        va_end(args);
    }
    Py_XDECREF(type);
    Py_XDECREF(errors);
    return NULL;
}

static PyObject *raise_status(int status) {
    switch (status) {
        case FEAGI_ERR_LAYOUT:
            PyErr_SetString(PyExc_ValueError, "the memory holds no region or mirror of this layout");
            break;
        case FEAGI_ERR_LENGTH:
            PyErr_SetString(PyExc_ValueError, "the memory is too short for what its header says, or not aligned to 8 bytes");
            break;
        case FEAGI_ERR_RANGE:
            PyErr_SetString(PyExc_ValueError, "a run of words is not within one page, or the runs of a page do not rise");
            break;
        default:
            PyErr_Format(PyExc_ValueError, "the core says %d", status);
    }
    return NULL;
}

static int check_open(Mirror *self) {
    if (!self->open) {
        raise_as("RegionClosed", "the mirror is closed");
        return -1;
    }
    return 0;
}

static int check_writable(Mirror *self) {
    if (check_open(self)) {
        return -1;
    }
    if (!self->writable) {
        raise_as("InvalidOperation", "the mirror is mapped read-only: only its owner writes it");
        return -1;
    }
    return 0;
}

// An index below `limit`, or -1 with IndexError or TypeError set.
static Py_ssize_t index_below(PyObject *object, Py_ssize_t limit, const char *what) {
    Py_ssize_t index = PyLong_AsSsize_t(object);
    if (index == -1 && PyErr_Occurred()) {
        return -1;
    }
    if (index < 0 || index >= limit) {
        PyErr_Format(PyExc_IndexError, "%s %zd is not in 0..%zd", what, index, limit - 1);
        return -1;
    }
    return index;
}

// Offset in the trailer of a value of `size` bytes, or -1 with an exception set.
static Py_ssize_t trailer_offset(PyObject *object, Py_ssize_t size) {
    Py_ssize_t offset = index_below(object, (Py_ssize_t)sizeof(feagi_mirror_t) - size + 1, "trailer offset");
    if (offset > 0 && size <= 8 && offset % size) {
        PyErr_Format(PyExc_ValueError, "trailer offset %zd is not aligned to %zd bytes", offset, size);
        return -1;
    }
    return offset;
}

static uint8_t *trailer_at(Mirror *self, Py_ssize_t offset) {
    return (uint8_t *)self->map.trailer + offset;
}

// --------------------------------------------------------------------------------------------- making and closing

static void release(Mirror *self) {
    if (self->open) {
        self->open = 0;
        PyBuffer_Release(&self->buffer);
    }
}

static int mirror_init(Mirror *self, PyObject *args, PyObject *kwargs) {
    static char *names[] = {"buffer", "create", NULL};
    PyObject *object;
    PyObject *create = Py_None;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|O:Mirror", names, &object, &create)) {
        return -1;
    }
    release(self);
    self->writable = get_buffer(object, &self->buffer);
    if (self->writable < 0) {
        return -1;
    }
    self->open = 1;
    const size_t len_bytes = (size_t)self->buffer.len;
    int status;
    if (create == Py_None) {
        status = feagi_mirror_attach(&self->map, self->buffer.buf, len_bytes);
    } else {
        Py_buffer image;
        if (check_writable(self) || PyObject_GetBuffer(create, &image, PyBUF_SIMPLE)) {
            release(self);
            return -1;
        }
        status = feagi_mirror_init(&self->map, self->buffer.buf, len_bytes, image.buf, (size_t)image.len);
        PyBuffer_Release(&image);
    }
    if (status) {
        release(self);
        raise_status(status);
        return -1;
    }
    return 0;
}

static void mirror_dealloc(Mirror *self) {
    PyTypeObject *type = Py_TYPE((PyObject *)self);
    release(self);
    freefunc free_object = (freefunc)PyType_GetSlot(type, Py_tp_free);
    free_object(self);
    Py_DECREF(type);
}

static PyObject *mirror_close(Mirror *self, PyObject *unused) {
    (void)unused;
    release(self);
    Py_RETURN_NONE;
}

static PyObject *mirror_take_over(Mirror *self, PyObject *unused) {
    (void)unused;
    if (check_writable(self)) {
        return NULL;
    }
    feagi_mirror_take_over(&self->map);
    Py_RETURN_NONE;
}

// -------------------------------------------------------------------------------------------------------- fields

// Index in feagi_fields + 1 by offset in the core block. Filled once, when the module is loaded.
static uint8_t field_at[sizeof(feagi_core_t)];

static PyObject *mirror_load_field(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    Py_ssize_t offset = index_below(object, (Py_ssize_t)sizeof(feagi_core_t), "field offset");
    if (offset < 0) {
        return NULL;
    }
    if (!field_at[offset]) {
        return PyErr_Format(PyExc_IndexError, "the core block has no field at offset %zd", offset);
    }
    static const uint8_t sizes[] = {
        [FEAGI_TYPE_U8] = 1, [FEAGI_TYPE_BOOL] = 1, [FEAGI_TYPE_U32] = 4, [FEAGI_TYPE_F32] = 4, [FEAGI_TYPE_U64] = 8,
    };
    const unsigned field = field_at[offset] - 1u;
    return field_object(
        field, feagi_mirror_load(&self->map, FEAGI_HEADER_LEN_BYTES + (uint32_t)offset, sizes[feagi_fields[field].type]));
}

static PyObject *mirror_load_hash(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    const Py_ssize_t index = index_below(object, FEAGI_HASHES_COUNT, "hash");
    return index < 0 ? NULL
                     : PyLong_FromUnsignedLongLong(feagi_mirror_load(&self->map, FEAGI_HASHES_AT + (uint32_t)index * 8, 8));
}

static PyObject *mirror_trailer_u32(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    Py_ssize_t offset = trailer_offset(object, 4);
    return offset < 0 ? NULL : PyLong_FromUnsignedLong(feagi_port_load_u32((uint32_t *)(void *)trailer_at(self, offset)));
}

static PyObject *mirror_trailer_u64(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    Py_ssize_t offset = trailer_offset(object, 8);
    return offset < 0 ? NULL : PyLong_FromUnsignedLongLong(feagi_port_load_u64((uint64_t *)(void *)trailer_at(self, offset)));
}

static PyObject *mirror_trailer_bytes(Mirror *self, PyObject *args) {
    Py_ssize_t offset, size;
    if (check_open(self) || !PyArg_ParseTuple(args, "nn:trailer_bytes", &offset, &size)) {
        return NULL;
    }
    if (offset < 0 || size < 0 || offset > (Py_ssize_t)sizeof(feagi_mirror_t) ||
        size > (Py_ssize_t)sizeof(feagi_mirror_t) - offset) {
        return PyErr_Format(PyExc_IndexError, "%zd bytes at %zd are not in the trailer", size, offset);
    }
    return PyBytes_FromStringAndSize((const char *)trailer_at(self, offset), size);
}

static PyObject *mirror_set_trailer_u32(Mirror *self, PyObject *const *args, Py_ssize_t count) {
    if (check_writable(self)) {
        return NULL;
    }
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "set_trailer_u32 takes an offset and a value");
        return NULL;
    }
    Py_ssize_t offset = trailer_offset(args[0], 4);
    if (offset < 0) {
        return NULL;
    }
    unsigned long value = PyLong_AsUnsignedLong(args[1]);
    if (value == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    if (value > UINT32_MAX) {
        return PyErr_Format(PyExc_OverflowError, "%lu does not fit 32 bits", value);
    }
    feagi_port_store_u32((uint32_t *)(void *)trailer_at(self, offset), (uint32_t)value);
    Py_RETURN_NONE;
}

static PyObject *mirror_set_trailer_u64(Mirror *self, PyObject *const *args, Py_ssize_t count) {
    if (check_writable(self)) {
        return NULL;
    }
    if (count < 2 || count > 1 + (Py_ssize_t)sizeof(feagi_mirror_t) / 8) {
        PyErr_SetString(PyExc_TypeError, "set_trailer_u64 takes an offset and the values that go there one after the other");
        return NULL;
    }
    Py_ssize_t offset = trailer_offset(args[0], 8);
    if (offset < 0) {
        return NULL;
    }
    if (offset + 8 * (count - 1) > (Py_ssize_t)sizeof(feagi_mirror_t)) {
        PyErr_SetString(PyExc_IndexError, "the values do not fit the trailer");
        return NULL;
    }
    for (Py_ssize_t i = 1; i < count; i++) {
        unsigned long long value = PyLong_AsUnsignedLongLong(args[i]);
        if (value == (unsigned long long)-1 && PyErr_Occurred()) {
            return NULL;
        }
        feagi_port_store_u64((uint64_t *)(void *)trailer_at(self, offset + 8 * (i - 1)), value);
    }
    Py_RETURN_NONE;
}

static PyObject *mirror_set_trailer_bytes(Mirror *self, PyObject *args) {
    Py_ssize_t offset;
    Py_buffer data;
    if (check_writable(self) || !PyArg_ParseTuple(args, "ny*:set_trailer_bytes", &offset, &data)) {
        return NULL;
    }
    if (offset < 0 || offset > (Py_ssize_t)sizeof(feagi_mirror_t) || data.len > (Py_ssize_t)sizeof(feagi_mirror_t) - offset) {
        PyErr_Format(PyExc_IndexError, "%zd bytes at %zd are not in the trailer", data.len, offset);
        PyBuffer_Release(&data);
        return NULL;
    }
    memcpy(trailer_at(self, offset), data.buf, (size_t)data.len);
    PyBuffer_Release(&data);
    Py_RETURN_NONE;
}

// --------------------------------------------------------------------------------------------------------- pages

static int read_page(Mirror *self, uint32_t page, uint8_t *out) {
    for (uint32_t tries = 0; tries < READ_TRIES; tries++) {
        if (feagi_mirror_read(&self->map, page, out)) {
            return 0;
        }
    }
    raise_as("RegionBusy", "page %u of the mirror changed during each of %u copies", (unsigned)page, READ_TRIES);
    return -1;
}

static PyObject *mirror_read_page(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    Py_ssize_t page = index_below(object, self->map.region.pages, "page");
    if (page < 0) {
        return NULL;
    }
    uint8_t copy[FEAGI_PAGE_LEN_BYTES];
    uint32_t len_bytes;
    feagi_region_page(&self->map.region, (uint32_t)page, &len_bytes);
    return read_page(self, (uint32_t)page, copy) ? NULL : PyBytes_FromStringAndSize((const char *)copy, len_bytes);
}

static PyObject *mirror_page_version(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    Py_ssize_t page = index_below(object, self->map.region.pages, "page");
    return page < 0 ? NULL : PyLong_FromUnsignedLong(feagi_mirror_page_version(&self->map, (uint32_t)page));
}

static PyObject *mirror_page_of(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    Py_ssize_t offset = index_below(object, self->map.region.len_bytes, "offset");
    if (offset < 0) {
        return NULL;
    }
    const int page = feagi_region_page_of(&self->map.region, (uint32_t)offset);
    return page < 0 ? PyErr_Format(PyExc_IndexError, "no page holds the byte at %zd", offset) : PyLong_FromLong(page);
}

static PyObject *mirror_read_agent(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    const feagi_region_t *r = &self->map.region;
    Py_ssize_t slot = index_below(object, r->agents.capacity, "agent slot");
    if (slot < 0) {
        return NULL;
    }
    const uint32_t agent_pages = (r->agents.entry_len + FEAGI_PAGE_LEN_BYTES - 1) / FEAGI_PAGE_LEN_BYTES;
    const uint32_t first = (uint32_t)feagi_region_page_of(r, r->agents.at + (uint32_t)slot * r->agents.entry_len);
    // Up to a page more than the entry, since a page is copied as a whole.
    uint8_t *copy = PyMem_Malloc((size_t)agent_pages * FEAGI_PAGE_LEN_BYTES);
    if (!copy) {
        return PyErr_NoMemory();
    }
    PyObject *result = NULL;
    for (uint32_t tries = 0;; tries++) {
        uint32_t page = 0;
        while (page < agent_pages && !read_page(self, first + page, copy + page * FEAGI_PAGE_LEN_BYTES)) {
            page++;
        }
        if (page < agent_pages) {
            break;
        }
        // An entry of several pages is one version if the first page, which has the entry's sequence, is still the same.
        uint8_t again[FEAGI_PAGE_LEN_BYTES];
        if (page == 1 || (!read_page(self, first, again) && feagi_port_equal(again + offsetof(feagi_agent_t, sequence),
                                                                             copy + offsetof(feagi_agent_t, sequence), 4))) {
            result = PyBytes_FromStringAndSize((const char *)copy, r->agents.entry_len);
            break;
        }
        if (PyErr_Occurred() || tries == READ_TRIES) {
            if (!PyErr_Occurred()) {
                raise_as("RegionBusy", "agent slot %zd of the mirror changed during each of %u copies", slot, READ_TRIES);
            }
            break;
        }
    }
    PyMem_Free(copy);
    return result;
}

// Copies the pages that lie in region[start, start + len_bytes); zero where no page lies. No page lies across its ends.
static PyObject *read_pages(Mirror *self, uint32_t page, uint32_t start, uint32_t len_bytes) {
    const feagi_region_t *r = &self->map.region;
    PyObject *result = NULL;
    uint8_t *image = PyMem_Calloc(1, len_bytes);
    if (!image) {
        return PyErr_NoMemory();
    }
    for (; page < r->pages; page++) {
        uint8_t copy[FEAGI_PAGE_LEN_BYTES];
        uint32_t page_len;
        const uint32_t offset = feagi_region_page(r, page, &page_len) - start;
        if (offset >= len_bytes) {
            break;
        }
        if (read_page(self, page, copy)) {
            goto done;
        }
        memcpy(image + offset, copy, page_len);
    }
    result = PyBytes_FromStringAndSize((const char *)image, len_bytes);
done:
    PyMem_Free(image);
    return result;
}

static PyObject *mirror_read_region(Mirror *self, PyObject *unused) {
    (void)unused;
    return check_open(self) ? NULL : read_pages(self, 0, 0, self->map.region.len_bytes);
}

static PyObject *mirror_read_section(Mirror *self, PyObject *object) {
    if (check_open(self)) {
        return NULL;
    }
    const feagi_region_t *r = &self->map.region;
    const feagi_place_t core = {FEAGI_HEADER_LEN_BYTES, 1, sizeof(feagi_core_t)};
    const feagi_place_t hashes = {FEAGI_HASHES_AT, 1, sizeof(feagi_hashes_t)};
    const feagi_place_t *const places[FEAGI_SECTION_EVENTS + 1] = {
        [FEAGI_SECTION_CORE] = &core,
        [FEAGI_SECTION_HASHES] = &hashes,
        [FEAGI_SECTION_AGENTS] = &r->agents,
        [FEAGI_SECTION_CORTICAL_LOCKS] = &r->locks,
        [FEAGI_SECTION_FCL_WINDOWS] = &r->windows,
        [FEAGI_SECTION_AREA_STATS] = &r->stats,
    };
    const Py_ssize_t number = index_below(object, FEAGI_SECTION_EVENTS + 1, "section");
    if (number < 0) {
        return NULL;
    }
    if (!places[number]) {
        return PyErr_Format(PyExc_ValueError, "section %zd is on no page", number);
    }
    // From the handle, which was checked, and not from the header, which its owner can change.
    const uint32_t head_len = number == FEAGI_SECTION_FCL_WINDOWS ? (uint32_t)sizeof(feagi_windows_t) : 0;
    const uint32_t start = places[number]->at - head_len;
    return read_pages(self, (uint32_t)feagi_region_page_of(r, start), start,
                      head_len + (uint32_t)places[number]->capacity * places[number]->entry_len);
}

static PyObject *mirror_publish_page(Mirror *self, PyObject *args) {
    unsigned int page;
    Py_buffer data;
    if (check_writable(self) || !PyArg_ParseTuple(args, "Iy*:publish_page", &page, &data)) {
        return NULL;
    }
    int status = FEAGI_ERR_LAYOUT;
    if (page < self->map.region.pages) {
        uint32_t len_bytes;
        feagi_region_page(&self->map.region, page, &len_bytes);
        status = data.len == (Py_ssize_t)len_bytes ? feagi_mirror_publish(&self->map, page, data.buf) : FEAGI_ERR_LENGTH;
    }
    PyBuffer_Release(&data);
    if (status) {
        return PyErr_Format(PyExc_ValueError,
                            "page %u cannot be published: no such page, wrong length, or a header that moves sections", page);
    }
    Py_RETURN_NONE;
}

static PyObject *pages_tuple(const uint32_t *touched) {
    uint32_t pages[RUNS_MAX]; // no more than runs
    Py_ssize_t count = 0;
    for (uint32_t word = 0; word < FEAGI_MIRROR_PAGES / 32; word++) {
        uint32_t page = word * 32;
        for (uint32_t mask = touched[word]; mask; mask >>= 1, page++) {
            if (mask & 1) {
                pages[count++] = page;
            }
        }
    }
    PyObject *result = PyTuple_New(count);
    for (Py_ssize_t i = 0; result && i < count; i++) {
        PyObject *number = PyLong_FromUnsignedLong(pages[i]);
        if (!number || PyTuple_SetItem(result, i, number)) {
            Py_CLEAR(result);
        }
    }
    return result;
}

static PyObject *mirror_publish(Mirror *self, PyObject *const *args, Py_ssize_t count) {
    if (check_writable(self)) {
        return NULL;
    }
    if (count < 1 || count > 2 || !PyTuple_Check(args[0])) {
        PyErr_SetString(PyExc_TypeError, "publish takes a tuple of words and bytes, and at which of them to start");
        return NULL;
    }
    PyObject *items = args[0];
    const Py_ssize_t len = PyTuple_Size(items);
    Py_ssize_t start = 0;
    if (count == 2) {
        start = index_below(args[1], len + 1, "start");
        if (start < 0) {
            return NULL;
        }
    }
    if ((len - start) % 2 || (len - start) / 2 > RUNS_MAX) {
        return PyErr_Format(PyExc_ValueError, "%zd items are no pairs of a word and its bytes, or more than %d pairs",
                            len - start, RUNS_MAX);
    }
    feagi_run_t runs[RUNS_MAX];
    uint32_t run = 0;
    for (Py_ssize_t i = start; i < len; i += 2, run++) {
        PyObject *word = PyTuple_GetItem(items, i);
        PyObject *data = PyTuple_GetItem(items, i + 1);
        if (!PyLong_Check(word) || !PyBytes_Check(data)) {
            PyErr_SetString(PyExc_TypeError, "publish takes words (int) and their bytes in turn");
            return NULL;
        }
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(word, &overflow);
        if (overflow || number < INT32_MIN || number > INT32_MAX) {
            return raise_status(FEAGI_ERR_RANGE);
        }
        char *bytes;
        Py_ssize_t len_bytes;
        if ((number == -1 && PyErr_Occurred()) || PyBytes_AsStringAndSize(data, &bytes, &len_bytes)) {
            return NULL;
        }
        if (len_bytes < 1 || len_bytes > (Py_ssize_t)FEAGI_PAGE_LEN_BYTES) {
            return raise_status(FEAGI_ERR_RANGE);
        }
        runs[run] = (feagi_run_t){(const uint8_t *)bytes, (uint32_t)len_bytes, (int32_t)number};
    }
    uint32_t touched[FEAGI_MIRROR_PAGES / 32];
    int status = feagi_mirror_apply(&self->map, runs, run, touched);
    return status ? raise_status(status) : pages_tuple(touched);
}

static PyObject *mirror_digest(Mirror *self, PyObject *unused) {
    (void)unused;
    return check_open(self) ? NULL : PyLong_FromUnsignedLong(feagi_mirror_digest(&self->map));
}

// -------------------------------------------------------------------------------------------------------- events

static PyObject *mirror_push_event(Mirror *self, PyObject *args) {
    unsigned long kind, arg, time_ms;
    if (check_writable(self) || !PyArg_ParseTuple(args, "kkk:push_event", &kind, &arg, &time_ms)) {
        return NULL;
    }
    if (kind > UINT16_MAX || arg > UINT32_MAX || time_ms > UINT32_MAX) {
        PyErr_SetString(PyExc_ValueError, "an event's kind has 16 bits, its argument and time have 32");
        return NULL;
    }
    feagi_mirror_push_event(&self->map, (uint16_t)kind, (uint32_t)arg, (uint32_t)time_ms);
    Py_RETURN_NONE;
}

static PyObject *mirror_read_event(Mirror *self, PyObject *object) {
    return check_open(self) ? NULL : shared_event(&self->map.region, object);
}

// ---------------------------------------------------------------------------------------------------- attributes

enum { GET_PAGES, GET_REGION_LEN, GET_AGENTS, GET_AGENT_LEN, GET_EVENTS, GET_HEAD };

static PyObject *mirror_get(Mirror *self, void *which) {
    if (check_open(self)) {
        return NULL;
    }
    const feagi_region_t *r = &self->map.region;
    switch ((int)(intptr_t)which) {
        case GET_PAGES:
            return PyLong_FromUnsignedLong(r->pages);
        case GET_REGION_LEN:
            return PyLong_FromUnsignedLong(r->len_bytes);
        case GET_AGENTS:
            return PyLong_FromUnsignedLong(r->agents.capacity);
        case GET_AGENT_LEN:
            return PyLong_FromUnsignedLong(r->agents.entry_len);
        case GET_EVENTS:
            return PyLong_FromUnsignedLong(r->events_mask + 1);
        default:
            return PyLong_FromUnsignedLong(feagi_events_head(&self->map.region));
    }
}

static PyObject *mirror_get_writable(Mirror *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(self->open && self->writable);
}

static PyObject *mirror_get_closed(Mirror *self, void *unused) {
    (void)unused;
    return PyBool_FromLong(!self->open);
}

static PyGetSetDef mirror_getset[] = {
    {"pages", (getter)mirror_get, NULL, "Pages of the region.", (void *)GET_PAGES},
    {"region_len", (getter)mirror_get, NULL, "Bytes of the region.", (void *)GET_REGION_LEN},
    {"agents", (getter)mirror_get, NULL, "Slots of the agent table.", (void *)GET_AGENTS},
    {"agent_len", (getter)mirror_get, NULL, "Bytes of a slot of the agent table.", (void *)GET_AGENT_LEN},
    {"events_capacity", (getter)mirror_get, NULL, "Events that the ring keeps.", (void *)GET_EVENTS},
    {"events_head", (getter)mirror_get, NULL, "Position that the next event will get.", (void *)GET_HEAD},
    {"writable", (getter)mirror_get_writable, NULL, "Whether the memory may be written.", NULL},
    {"closed", (getter)mirror_get_closed, NULL, "Whether the buffer was given back.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};

static PyMethodDef mirror_methods[] = {
    // Documented in _core.pyi.
    METHOD("close", mirror_close, METH_NOARGS),
    METHOD("take_over", mirror_take_over, METH_NOARGS),
    METHOD("load_field", mirror_load_field, METH_O),
    METHOD("load_hash", mirror_load_hash, METH_O),
    METHOD("trailer_u32", mirror_trailer_u32, METH_O),
    METHOD("trailer_u64", mirror_trailer_u64, METH_O),
    METHOD("trailer_bytes", mirror_trailer_bytes, METH_VARARGS),
    METHOD("set_trailer_u32", mirror_set_trailer_u32, METH_FASTCALL),
    METHOD("set_trailer_u64", mirror_set_trailer_u64, METH_FASTCALL),
    METHOD("set_trailer_bytes", mirror_set_trailer_bytes, METH_VARARGS),
    METHOD("read_page", mirror_read_page, METH_O),
    METHOD("page_version", mirror_page_version, METH_O),
    METHOD("page_of", mirror_page_of, METH_O),
    METHOD("read_agent", mirror_read_agent, METH_O),
    METHOD("read_section", mirror_read_section, METH_O),
    METHOD("read_region", mirror_read_region, METH_NOARGS),
    METHOD("publish", mirror_publish, METH_FASTCALL),
    METHOD("publish_page", mirror_publish_page, METH_VARARGS),
    METHOD("digest", mirror_digest, METH_NOARGS),
    METHOD("push_event", mirror_push_event, METH_VARARGS),
    METHOD("read_event", mirror_read_event, METH_O),
    {NULL, NULL, 0, NULL},
};

static PyType_Slot mirror_slots[] = {
    {Py_tp_doc, "A mirror over a buffer. See _core.pyi."},
    {Py_tp_new, PyType_GenericNew},
    {Py_tp_init, mirror_init},
    {Py_tp_dealloc, mirror_dealloc},
    {Py_tp_methods, mirror_methods},
    {Py_tp_getset, mirror_getset},
    {0, NULL},
};

static PyType_Spec mirror_spec = {
    .name = "feagi_state._core.Mirror",
    .basicsize = sizeof(Mirror),
    .flags = Py_TPFLAGS_DEFAULT,
    .slots = mirror_slots,
};

// -------------------------------------------------------------------------------------------------------- module

static PyObject *module_mirror_len(PyObject *module, PyObject *object) {
    (void)module;
    unsigned long len = PyLong_AsUnsignedLong(object);
    if (len == (unsigned long)-1 && PyErr_Occurred()) {
        return NULL;
    }
    const uint32_t result = len > UINT32_MAX ? 0 : feagi_mirror_len((uint32_t)len);
    return result ? PyLong_FromUnsignedLong(result) : PyErr_Format(PyExc_ValueError, "a region of %lu bytes is too long", len);
}

static PyObject *module_region_shape(PyObject *module, PyObject *object) {
    (void)module;
    Py_buffer header;
    if (PyObject_GetBuffer(object, &header, PyBUF_SIMPLE)) {
        return NULL;
    }
    uint64_t copy[FEAGI_HEADER_LEN_BYTES / 8];
    feagi_region_t r;
    int status = FEAGI_ERR_LENGTH;
    if (header.len >= (Py_ssize_t)sizeof copy) {
        memcpy(copy, header.buf, sizeof copy);
        // Only the header is looked at, so its own length is the one limit that matters here.
        status = feagi_region_attach(&r, copy, UINT32_MAX);
    }
    PyBuffer_Release(&header);
    return status ? raise_status(status) : Py_BuildValue("(kk)", (unsigned long)r.len_bytes, (unsigned long)r.pages);
}

static PyMethodDef module_methods[] = {
    METHOD("mirror_len", module_mirror_len, METH_O),
    METHOD("region_shape", module_region_shape, METH_O),
    {NULL, NULL, 0, NULL},
};

static int add_object(PyObject *module, const char *name, PyObject *object) {
    int status = object ? PyObject_SetAttrString(module, name, object) : -1;
    Py_XDECREF(object);
    return status;
}

static int module_exec(PyObject *module) {
    for (uint8_t i = 0; i < FEAGI_FIELDS; i++) {
        field_at[feagi_fields[i].offset] = (uint8_t)(i + 1);
    }
    return add_object(module, "Mirror", PyType_FromSpec(&mirror_spec)) ||
                   add_object(module, "SCHEMA_HASH", PyLong_FromUnsignedLong(FEAGI_SCHEMA_HASH)) ||
                   add_object(module, "HEADER_LEN", PyLong_FromUnsignedLong(FEAGI_HEADER_LEN_BYTES)) ||
                   add_object(module, "MIRROR_VERSION", PyLong_FromUnsignedLong(FEAGI_MIRROR_VERSION)) || shared_add(module)
               ? -1
               : 0;
}

static PyModuleDef_Slot module_slots[] = {
    {Py_mod_exec, module_exec},
#ifdef Py_mod_gil
    {Py_mod_gil, Py_MOD_GIL_NOT_USED},
#endif
    {0, NULL},
};

static struct PyModuleDef module_def = {
    PyModuleDef_HEAD_INIT, .m_name = "feagi_state._core", .m_doc = "Atomic access to a mirror's memory. See _core.pyi.",
    .m_size = 0,           .m_methods = module_methods,   .m_slots = module_slots,
};

PyMODINIT_FUNC PyInit__core(void) {
    return PyModuleDef_Init(&module_def);
}
