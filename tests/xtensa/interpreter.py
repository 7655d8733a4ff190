"""What a native module needs of MicroPython, done by this Python: its objects are Python's own, and where it calls MicroPython's
functions the methods of Interpreter answer.

Only what the module feagi_state uses is there; anything else ends with the name of what is missing.
"""

from __future__ import annotations

import builtins
import errno
import functools
import importlib
import io
import operator
import re
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from emulated import Emulated
from mpyfile import Places, read_native

WORD_MASK = 0xFFFFFFFF
SMALL_INTS = range(-(2**30), 2**30)
NULL, SENTINEL = 0, 4  # MP_OBJ_NULL, MP_OBJ_SENTINEL
NATIVE_BOOL, NATIVE_INT, NATIVE_QSTR = 1, 2, 8  # MP_NATIVE_TYPE_...
READ_BUFFER, WRITE_BUFFER, RAISE_IF_UNSUPPORTED = 1, 2, 4  # MP_BUFFER_...
STREAM_ERROR = WORD_MASK
MEMORYVIEW = memoryview  # the type, which run.py hides
# mp_obj_type_t: the index of each slot is a byte from 8 on, in this order, and the slots are words from 20 on.
SLOTS = ["make_new", "print", "call", "unary_op", "binary_op", "attr", "subscr", "iter", "buffer", "protocol", "parent", "locals_dict"]
TYPE_LEN_BYTES = 20 + 4 * len(SLOTS)
OPERATORS: dict[str, Callable[..., Any]] = {
    "MP_UNARY_OP_NEGATIVE": operator.neg,
    "MP_BINARY_OP_LESS": operator.lt,
    "MP_BINARY_OP_EQUAL": operator.eq,
    "MP_BINARY_OP_RSHIFT": operator.rshift,
}


class NativeFunction:
    """A function object of the module; `at` is its address."""

    def __init__(self, vm: Interpreter, at: int) -> None:
        self.vm = vm
        self.at = at

    def __get__(self, instance: object, _owner: type) -> Callable[..., object]:
        return self if instance is None else functools.partial(self, instance)

    def __call__(self, *args: object) -> object:
        kind, second, third = self.vm.cpu.read_words(self.at, 3)
        words = [self.vm.word(arg) for arg in args]
        if kind == self.vm.type_fun_builtin_var:  # whose signature ours have no use for
            return self.vm.call(third, len(args), self.vm.words(*words))
        if kind not in self.vm.function_types:  # of a type of the module's own
            return self.vm.call(self.vm.slot(kind, "call"), self.at, len(args), 0, self.vm.words(*words))
        count = self.vm.function_types.index(kind)
        if len(args) != count:
            raise TypeError(f"{len(args)} arguments where {count} are taken")
        return self.vm.call(second, *words)


class NativeType(type):
    """Of the types that the module makes; `_type_at` is the address of the mp_obj_type_t."""

    _vm: Interpreter
    _type_at: int

    def _local(cls, name: str, instance: object) -> object:
        """What the type's dict has, as an attribute of an instance or, with None, of the type."""
        methods = cls._vm.object(cls._vm.slot(cls._type_at, "locals_dict"))
        if name not in methods:
            raise AttributeError(name)
        return methods[name].__get__(instance, cls)

    def __getattr__(cls, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        return cls._local(name, None)


class NativeObject(metaclass=NativeType):
    """Base of those types."""

    def __init__(self, *args: object) -> None:
        at = self._call_slot("make_new", self._type_at, len(args), 0, self._vm.words(*map(self._vm.word, args)))
        self._vm.name_object(self, at)

    def _call_slot(self, slot: str, *arguments: int) -> int:
        return self._vm.cpu.call(self._vm.slot(self._type_at, slot), *arguments)

    def __getattr__(self, name: str) -> object:
        result = self._vm.words(NULL, NULL)
        self._call_slot("attr", self._vm.word(self), self._vm.qstr(name), result)
        value, more = self._vm.cpu.read_words(result, 2)
        if value != NULL:
            found = self._vm.object(value)
            return found if more == NULL else found.__get__(self._vm.object(more), type(self))  # a method and its self
        if more != SENTINEL:
            raise AttributeError(name)
        return type(self)._local(name, self)

    def __setattr__(self, name: str, value: object) -> None:
        result = self._vm.words(SENTINEL, self._vm.word(value))
        self._call_slot("attr", self._vm.word(self), self._vm.qstr(name), result)
        if self._vm.cpu.read_words(result, 1) != (NULL,):
            raise AttributeError(name)

    def __bytes__(self) -> bytes:
        return self._vm.cpu.read(*self._buffer())

    def _buffer(self) -> tuple[int, int]:
        """Address and length in bytes."""
        info = self._vm.words(0, 0, 0)
        if self._call_slot("buffer", self._vm.word(self), info, READ_BUFFER):
            raise TypeError("object with buffer protocol required")
        at, length, _ = self._vm.cpu.read_words(info, 3)
        return at, length


class Interpreter:
    """Of the modules that it loads. A context manager, which ends the emulated program.

    `program` is the one made of stub.c, `mpy_dir` the source of MicroPython, which says where in the table each function is.
    """

    def __init__(self, program: Path, mpy_dir: Path) -> None:
        self.cpu = Emulated(program, self.answer)
        self._globals: dict[str, object] = {}  # of the module that is being loaded
        self._written: list[tuple[Any, int]] = []  # buffers that a call may write, and where they are
        self._heap_is_locked = False
        self._answering = False
        self._objects: dict[int, object] = {}
        self._addresses: dict[object, int] = {}
        self._buffers: dict[int, tuple[int, int]] = {}
        sys.path.insert(0, str(mpy_dir / "py"))
        self._qstrs: list[str] = ["", *importlib.import_module("makeqstrdata").static_qstr_list]
        self._qstr_numbers = {name: number for number, name in enumerate(self._qstrs) if number}
        operators = (mpy_dir / "py" / "runtime0.h").read_text()
        self._unary, self._binary = (re.findall(rf"^\s+(MP_{kind}_OP_\w+)", operators, re.MULTILINE) for kind in ("UNARY", "BINARY"))
        self._table = functions_of(mpy_dir / "py" / "nativeglue.h")
        self._entries = [self._entry(i, name) for i, name in enumerate(self._table)]
        self.function_types = [self.type_fun_builtin_0, self.type_fun_builtin_1, self.type_fun_builtin_2, self.type_fun_builtin_3]
        self._table_at = self.words(*self._entries)
        self._streams = self.words(*self.cpu.functions[len(self._table) : len(self._table) + 3], 0)  # an mp_stream_p_t
        self._table += ["stream_read", "stream_write", "stream_ioctl"]

    def __enter__(self) -> Interpreter:
        return self

    def __exit__(self, *_: object) -> None:
        self.cpu.__exit__()

    def lock_heap(self, locked: bool) -> None:
        """While it is, what allocates in MicroPython raises MemoryError."""
        self._heap_is_locked = locked

    # ---- Loading

    def load(self, mpy: Path, names: dict[str, object], source: Path) -> None:
        """Runs a file's native code, and then what it has as bytecode, of which this is the source. `names` are the module's."""
        module = read_native(mpy)
        self._globals = names
        numbers = [name if isinstance(name, int) else self.qstr(name) for name in module.names]
        qstrs_at = self.cpu.reserve(2 * len(numbers))
        self.cpu.write(qstrs_at, struct.pack(f"<{len(numbers)}H", *numbers))
        text_at, rodata_at, bss_at = map(self.cpu.reserve, (len(module.text), len(module.rodata), module.bss_len_bytes))
        text, rodata = module.relocated(Places(text_at, rodata_at, bss_at, qstrs_at, self._entries, self._table_at))
        self.cpu.write(text_at, text)
        self.cpu.write(rodata_at, rodata)
        context = self.words(0, 0, qstrs_at, 0)  # an mp_module_context_t
        function = self.words(0, context)  # an mp_obj_fun_bc_t, as far as mpy_init() looks at it
        self.cpu.call(text_at, function, 0, 0, 0)
        exec(source.read_text(), names)

    def call(self, at: int, *words: int) -> object:
        """Calls a function of a module, which may write the buffers that it is given."""
        before, self._written = self._written, []
        try:
            return self.object(self.cpu.call(at, *words))
        finally:
            for value, data in self._written:
                value[:] = self.cpu.read(data, len(value))
            self._written = before

    def _entry(self, index: int, name: str) -> int:
        """What the table has: an object, a type or a function."""
        constants = {"const_none": None, "const_false": False, "const_true": True}
        if name in constants:
            return self.name_object(constants[name], self.cpu.reserve(8))
        if name.startswith("type_"):
            at = self.cpu.reserve(TYPE_LEN_BYTES)
            self.cpu.write(at + 8, b"\1" * len(SLOTS))  # the module copies slots of Exception
            setattr(self, name, at)
            python = getattr(builtins, name.removeprefix("type_"), None)
            return self.name_object(python, at) if python else at
        return self.cpu.functions[index]

    # ---- Words and objects

    def words(self, *values: int) -> int:
        """The address of new memory that holds these."""
        at = self.cpu.reserve(4 * len(values))
        self.cpu.write_words(at, *values)
        return at

    def qstr(self, name: str) -> int:
        number = self._qstr_numbers.setdefault(name, len(self._qstrs))
        if number == len(self._qstrs):
            self._qstrs.append(name)
        return number

    def name_object(self, value: object, at: int) -> int:
        """Makes `at` the address of an object."""
        self._objects[at] = value
        self._addresses[self._key(value)] = at
        return at

    @staticmethod
    def _key(value: object) -> object:
        return (type(value), value) if isinstance(value, (str, bytes, int)) else id(value)

    def word(self, value: object) -> int:
        """The mp_obj_t of a Python object."""
        if type(value) is int and value in SMALL_INTS:
            return (value << 1 | 1) & WORD_MASK
        if isinstance(value, str) and value in self._qstr_numbers:
            return self.qstr(value) << 3 | 2
        key = self._key(value)
        if key not in self._addresses:
            if self._heap_is_locked and self._answering:
                raise MemoryError("memory allocation failed, heap is locked")
            kind = self.type_type if isinstance(value, type) else self.word(type(value))
            self.name_object(value, self.words(kind, 0))
        return self._addresses[key]

    def object(self, word: int) -> Any:
        """The Python object of an mp_obj_t."""
        if word & 1:
            return (word >> 1) - (word >> 31 << 31)
        if word & 2:
            return self._qstrs[word >> 3]
        if word not in self._objects:  # the module made it by itself
            [kind] = self.cpu.read_words(word, 1)
            if kind == self.type_type:
                self._new_type(word)
            elif kind in (*self.function_types, self.type_fun_builtin_var) or self.slot(kind, "call"):
                self.name_object(NativeFunction(self, word), word)
            else:
                made = self._objects[kind]
                self.name_object(made.__new__(made), word)
        return self._objects[word]

    def objects(self, at: int, count: int) -> list[Any]:
        return [self.object(word) for word in self.cpu.read_words(at, count)]

    def address_of(self, value: NativeObject) -> int:
        """Where its buffer begins."""
        return value._buffer()[0]

    # ---- What the module made

    @functools.cache  # noqa: B019
    def slot(self, type_at: int, name: str) -> int:
        """0 if the type has none."""
        index = self.cpu.read(type_at + 8 + SLOTS.index(name), 1)[0]
        return self.cpu.read_words(type_at + 20 + 4 * (index - 1), 1)[0] if index else 0

    def _new_type(self, at: int) -> None:
        name = self._qstrs[self.cpu.read_words(at + 4, 1)[0] >> 16]
        self.name_object(NativeType(name, (NativeObject,), {"_vm": self, "_type_at": at}), at)

    # ---- What the module calls

    def answer(self, index: int, arguments: Sequence[int]) -> int:
        function = getattr(self, f"do_{self._table[index]}", None)
        if not function:
            raise NotImplementedError(f"the module called {self._table[index]}")
        was, self._answering = self._answering, True
        try:
            return function(*arguments[: function.__code__.co_argcount - 1]) or 0
        finally:
            self._answering = was

    def do_native_from_obj(self, word: int, kind: int) -> int:
        value = self.object(word)
        if kind == NATIVE_BOOL:
            return bool(value)
        assert kind == NATIVE_INT
        if not isinstance(value, int):
            raise TypeError(f"can't convert {type(value).__name__} to int")
        return value

    def do_native_to_obj(self, value: int, kind: int) -> int:
        assert kind == NATIVE_QSTR
        return value << 3 | 2

    def do_swap_globals(self) -> int:
        return 0

    def do_load_global(self, name: int) -> int:
        text = self._qstrs[name]
        return self.word(self._globals[text] if text in self._globals else getattr(builtins, text))

    def do_store_global(self, name: int, word: int) -> None:
        self._globals[self._qstrs[name]] = self.object(word)

    def do_load_attr(self, word: int, name: int) -> int:
        return self.word(getattr(self.object(word), self._qstrs[name]))

    def do_import_name(self, name: int) -> int:
        return self.word(importlib.import_module(self._qstrs[name]))

    def do_call_function_n_kw(self, function: int, count: int, args: int) -> int:
        return self.word(self.object(function)(*self.objects(args, count)))

    def do_unary_op(self, op: int, word: int) -> int:
        return self.word(OPERATORS[self._unary[op]](self.object(word)))

    def do_binary_op(self, op: int, left: int, right: int) -> int:
        return self.word(OPERATORS[self._binary[op]](self.object(left), self.object(right)))

    def do_obj_get_type(self, word: int) -> int:
        return self.word(type(self.object(word)))

    def do_new_tuple(self, count: int, items: int) -> int:
        return self.word(tuple(self.objects(items, count)))

    def do_new_list(self, count: int, items: int) -> int:
        return self.word(self.objects(items, count))

    def do_list_append(self, word: int, item: int) -> None:
        self.object(word).append(self.object(item))

    def do_new_dict(self) -> int:
        return self.word({})

    def do_dict_store(self, word: int, key: int, value: int) -> None:
        self.object(word)[self.object(key)] = self.object(value)

    def do_obj_new_str(self, data: int, length: int) -> int:
        return self.word(self.cpu.read(data, length).decode())

    def do_obj_new_bytes(self, data: int, length: int) -> int:
        return self.word(self.cpu.read(data, length))

    def do_obj_new_bytearray_by_ref(self, length: int, data: int) -> int:
        return self.word(bytearray(self.cpu.read(data, length)))

    def do_realloc_(self, old: int, length: int) -> int:
        assert not old
        if self._heap_is_locked:
            raise MemoryError("memory allocation failed, heap is locked")
        return self.cpu.reserve(length)

    def do_arg_check_num_sig(self, count: int, keywords: int, signature: int) -> None:
        if keywords or not signature >> 17 <= count <= signature >> 1 & 0xFFFF:
            raise TypeError("function expected another number of arguments")

    def do_get_buffer(self, word: int, info: int, flags: int) -> bool:
        value = self.object(word)
        if isinstance(value, NativeObject):
            return not self.cpu.call(self.slot(value._type_at, "buffer"), word, info, flags)
        writable = isinstance(value, bytearray) or (isinstance(value, MEMORYVIEW) and not value.readonly)
        if not isinstance(value, (str, bytes, bytearray, MEMORYVIEW)) or (flags & WRITE_BUFFER and not writable):
            if flags & RAISE_IF_UNSUPPORTED:
                raise TypeError("object with buffer protocol required")
            return False
        if word not in self._buffers or writable:
            data = value.encode() if isinstance(value, str) else bytes(value)
            # As far from a multiple of 16 as it is from the beginning of what it is a view of, as a view to the end is.
            beyond = len(value.obj) - len(data) if isinstance(value, MEMORYVIEW) else 0
            at = self.cpu.reserve(beyond + len(data) + 1) + beyond
            self.cpu.write(at, data)
            self._buffers[word] = at, len(data)
        if flags & WRITE_BUFFER:
            self._written.append((value, self._buffers[word][0]))
        self.cpu.write_words(info, *self._buffers[word], ord("B"))
        return True

    def do_binary_get_val_array(self, typecode: int, data: int, index: int) -> int:
        code = f"<{typecode:c}"
        size = struct.calcsize(code)
        return self.word(struct.unpack(code, self.cpu.read(data + size * index, size))[0])

    def do_binary_set_val_array(self, typecode: int, data: int, index: int, word: int) -> None:
        code = f"<{typecode:c}"
        value = self.object(word)
        if not isinstance(value, (int, float)):
            raise TypeError(f"can't convert {type(value).__name__} to float")
        self.cpu.write(data + struct.calcsize(code) * index, struct.pack(code, value))

    def do_raise(self, word: int) -> None:
        raise self.object(word)

    def do_raise_msg(self, kind: int, message: int) -> None:
        raise self.object(kind)(self.cpu.read(message, 200).split(b"\0")[0].decode())

    # ---- Streams

    def do_get_stream_raise(self, word: int) -> int:
        if not isinstance(self.object(word), io.IOBase):
            raise OSError(errno.EOPNOTSUPP, "stream operation not supported")
        return self._streams

    def do_stream_read(self, word: int, data: int, length: int, error: int) -> int:
        got = bytearray(length)
        count = self.object(word).readinto(got)
        if count is not None:
            self.cpu.write(data, bytes(got[:count]))
        return self._stream_result(count, error)

    def do_stream_write(self, word: int, data: int, length: int, error: int) -> int:
        return self._stream_result(self.object(word).write(self.cpu.read(data, length)), error)

    def do_stream_ioctl(self, word: int, request: int, argument: int, error: int) -> int:
        stream = self.object(word)
        if not hasattr(stream, "ioctl"):
            self.cpu.write_words(error, errno.EINVAL)
            return STREAM_ERROR
        result: int = stream.ioctl(request, argument)
        return result

    def _stream_result(self, count: int | None, error: int) -> int:
        if count is None:
            self.cpu.write_words(error, errno.EAGAIN)
            return STREAM_ERROR
        return count


def functions_of(header: Path) -> list[str]:
    """The names in MicroPython's mp_fun_table_t, in order."""
    text = header.read_text()
    body = text[text.index("typedef struct _mp_fun_table_t {") : text.index("} mp_fun_table_t;")]
    return [(re.search(r"\(\*(\w+)\)\(", field) or re.search(r"(\w+)$", field))[1] for field in body.split("{")[1].split(";")[:-1]]  # type: ignore[index]
