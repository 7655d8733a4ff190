// The module feagi_state of boards as Python for a page, over `ask` and `facts` of micropython.js. firmware/micropython/feagi_state.pyi
// describes it.
export const source = String.raw`
import asyncio
import json
import os
from binascii import hexlify, unhexlify
from collections import namedtuple

import _feagi_page

_facts = json.loads(_feagi_page.facts)
_HEADER_LEN_BYTES = 128

# A page goes on while a program waits, and so the port has no asyncio.run: what a board would run goes on by itself.
if not hasattr(asyncio, "run"):
    asyncio.run = asyncio.create_task


class StateError(Exception):
    pass


class AgentNotFound(StateError):
    pass


class AgentAlreadyRegistered(StateError):
    pass


class CapacityError(StateError):
    pass


class AreaNotFound(StateError):
    pass


class NotLockOwner(StateError):
    pass


class PersistenceError(StateError):
    pass


AgentInfo = namedtuple("AgentInfo", ("agent_id", "agent_type", "registered_at", "last_seen", "metadata", "handle"))

for _name, _values in _facts["enums"].items():
    globals()[_name] = type(_name, (), _values)

_errors = {kind.__name__: kind for kind in (AgentNotFound, AgentAlreadyRegistered, CapacityError, AreaNotFound, NotLockOwner, PersistenceError)}
_errors.update({"InvalidValue": ValueError, "InvalidField": AttributeError, "InvalidOperation": TypeError, "TypeError": TypeError})


def _coded(value):
    # Numbers as text: those that come to JavaScript as numbers are cut off at 32 bits.
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, (int, float)):
        return "n%s" % value
    return "s" + value if isinstance(value, str) else "b" + hexlify(value).decode()


def _ask(what, *args):
    error, answer = json.loads(_feagi_page.ask(what, json.dumps([_coded(arg) for arg in args])))
    if error:
        raise _errors.get(error, StateError)(answer)
    return answer


def _int(value):
    if not isinstance(value, (int, bool)):
        raise TypeError("%r is no int" % (value,))
    return int(value)


def _real(value):
    if not isinstance(value, (int, bool, float)):
        raise TypeError("%r is no number" % (value,))
    return float(value)


def _field(name):
    if name not in _fields:
        raise AttributeError("a state has no %s" % name)
    return _fields[name]


def _text(value):
    if not isinstance(value, (str, bytes)):
        raise TypeError("%r is no text" % (value,))
    return value


# How an attribute is read, and what its new value is made of.
_fields = {name: ("real", "set", _real, writable) if type == "f32" else ("get", "set", _int, writable) for name, type, writable in _facts["fields"]}
_fields.update({name + "_hash": ("hash", "set_hash", _int, True) for name in _facts["hashes"]})
_fields.update({name: ("header", None, None, False) for name in ("boot_id", "unix_time")})
_state = None


class StateManager:
    def __init__(self, profile="micro", boot_id=0):
        if _state is not None:
            raise NotImplementedError("a page makes regions with open(); Python has the one that install() was given: StateManager.instance()")

    def __getattr__(self, name):
        read, _, taken, _ = _field(name)
        value = _ask(read, name)
        return float(value) if taken is _real else value

    def __setattr__(self, name, value):
        _, write, taken, writable = _field(name)
        if not writable:
            raise AttributeError("%s is kept by feagi_state" % name)
        _ask(write, name, taken(value))

    @staticmethod
    def instance():
        return _state

    @staticmethod
    def load(source):
        raise NotImplementedError("a page makes regions with open(); here restore() a state into StateManager.instance()")

    def add(self, field, amount):
        return _ask("add", _text(field), _int(amount))

    def subtract(self, field, amount):
        return _ask("subtract", _text(field), _int(amount))

    def register_agent(self, agent_id, agent_type=0, metadata=None):
        return _ask("register", _text(agent_id), _int(agent_type), _text(metadata or ""))

    def deregister_agent(self, agent_id):
        _ask("deregister", _text(agent_id))

    def heartbeat(self, agent):
        _ask("heartbeat", agent if isinstance(agent, int) else _text(agent))

    def evict_stale(self, older_than_ms):
        return _ask("evict", _int(older_than_ms))

    def get_agent(self, agent_id):
        return AgentInfo(*_ask("agent", _text(agent_id)))

    def get_agents(self):
        return [AgentInfo(*agent) for agent in _ask("agents")]

    def try_lock(self, area, owner=1):
        return _ask("try_lock", _int(area), _int(owner))

    def unlock(self, area, owner=1):
        _ask("unlock", _int(area), _int(owner))

    def take_over(self, area, old_owner, new_owner):
        _ask("take_over", _int(area), _int(old_owner), _int(new_owner))

    def is_locked(self, area):
        return self.lock_owner(area) != 0

    def lock_owner(self, area):
        return _ask("lock_owner", _int(area))

    def get_locked_areas(self):
        return _ask("locked_areas")

    def get_fcl_window(self, area):
        return _ask("window", _int(area))

    def set_fcl_window(self, area, window):
        _ask("set_window", None if area is None else _int(area), _int(window))

    def remove_fcl_window(self, area):
        return _ask("remove_window", _int(area))

    def get_fcl_windows(self):
        return dict(_ask("windows"))

    def init_area_stats(self, area_id):
        _ask("init_stats", _text(area_id))

    def get_area_stats(self, area_id):
        return tuple(_ask("stats", _text(area_id)))

    def set_area_stats(self, area_id, neurons, *others):
        if len(others) > 2:
            raise TypeError("set_area_stats takes 2 to 4 arguments")
        _ask("set_stats", _text(area_id), *[_int(count) for count in (neurons,) + others])

    def change_area_stats(self, area_id, neurons, incoming=0, outgoing=0):
        _ask("change_stats", _text(area_id), _int(neurons), _int(incoming), _int(outgoing))

    def emit(self, kind, arg=0):
        return _ask("emit", _int(kind), _int(arg))

    def pop_event(self):
        event = _ask("pop")
        return event and tuple(event)

    def events_rejected(self):
        return _ask("rejected")

    def save(self, target=None):
        image = unhexlify(_ask("snapshot"))
        if target is None:
            return bytearray(image)
        if isinstance(target, str):
            try:
                with open(target + ".new", "wb") as file:
                    file.write(image)
                os.rename(target + ".new", target)
            except OSError as error:
                raise PersistenceError("%s cannot be written: %s" % (target, error))
        else:
            view = memoryview(target)
            if len(view) < len(image):
                raise ValueError("the buffer has %d bytes, the state takes %d" % (len(view), len(image)))
            view[: len(image)] = image
        return len(image)

    def restore(self, source):
        if isinstance(source, str):
            try:
                with open(source, "rb") as file:
                    image = file.read()
            except OSError as error:
                raise PersistenceError("%s cannot be read: %s" % (source, error))
        else:
            image = bytes(source)
            if not isinstance(source, bytes):  # it may be longer than what was saved to it
                image = image[: _facts["image_len"] + int.from_bytes(image[8:12], "little")]
        _ask("restore", image)

    def readinto(self, buffer, offset=_HEADER_LEN_BYTES):
        view = memoryview(buffer)
        part = unhexlify(_ask("read", _int(offset), len(view)))
        view[: len(part)] = part
        return len(part)

    def digest(self):
        return _ask("digest")

    def tick(self, now_ms=None):
        if now_ms is not None:
            _ask("tick", _int(now_ms))


_state = StateManager()


class Link:
    up = False
    session = rejected = 0

    def __init__(self, stream, state=None, name=None, out=None):
        pass

    def poll(self):
        return False

    def log(self, level, text):
        return False


def schema_hash():
    return _facts["schema_hash"]


def __getattr__(name):
    raise AttributeError("feagi_state has no %s in a page" % name)
`;
