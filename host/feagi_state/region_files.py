"""Memory for shared regions: anonymous, or a file that processes map; and what a file is that is none of ours.

A file is made beside its name and linked there when it is whole, so that nobody ever maps half of one, and never
shortened afterwards. Whoever shortens it from outside ends every process that reads behind the new end (SIGBUS):
nothing here can help that.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
import struct
import tempfile
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from . import spec
from ._core import mirror_len, shared_len
from .errors import InvalidValue, MemoryMapError, StateError

__all__ = [
    "anonymous",
    "is_regular",
    "kind_of_file",
    "make_file",
    "map_file",
    "other_layout",
    "path_text",
    "pid_namespace",
    "profile_name",
    "profile_named",
]

# The first bytes of what this package writes; a region's trailer has a magic of its own.
REGION_MAGIC: Final = b"FGST"
IMAGE_MAGIC: Final = b"FGIM"
MIRROR_MAGIC: Final = b"FGMR"
SHARED_MAGIC: Final = b"FGSH"
_HEADER: Final = spec.HEADER_FIELDS
_NAMES: Final = {profile.id: name for name, profile in spec.PROFILES.items()}


def profile_named(name: str) -> spec.Profile:
    """The profile called `name`. Raises InvalidValue."""
    found = spec.PROFILES.get(name) if isinstance(name, str) else None
    if found is None:
        raise InvalidValue(f"there is no profile {name!r}: it should be one of {', '.join(spec.PROFILES)}")
    return found


def profile_name(number: int) -> str:
    """The name of the profile with this number."""
    return _NAMES.get(number, f"number {number}")


def path_text(path: str | os.PathLike[str]) -> str:
    """A path as the system takes it. Raises InvalidValue."""
    try:
        text = os.fsdecode(path)
        os.fsencode(text)  # refuses what no file's name can have
    except (TypeError, UnicodeError):
        text = ""
    if not text or "\0" in text:
        raise InvalidValue(f"{path!r} is no path of a file")
    return text


def pid_namespace() -> int:
    """What this process's number is relative to; 0 where the system does not say."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return 0


def is_regular(path: str) -> bool:
    """Whether it is a regular file. Looked at before it is opened: opening a pipe can wait for ever, opening a serial
    port reset a board. Raises OSError.
    """
    return stat.S_ISREG(os.stat(path).st_mode)


def anonymous(len_bytes: int) -> mmap.mmap:
    """Memory of this process alone; a process that it forks gets a copy. Raises MemoryMapError."""
    try:
        return mmap.mmap(-1, len_bytes, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    except OSError as error:
        raise MemoryMapError(f"no memory for a region of {len_bytes} bytes: {error.strerror}") from None


def make_file(path: str, len_bytes: int, mode: int, fill: Callable[[mmap.mmap], Any]) -> mmap.mmap:
    """Makes a file of zeros, maps it, lets `fill` set it up, and gives it its name.

    Raises FileExistsError if the name is taken by then, MemoryMapError for all else that the system refuses.
    """
    directory, name = os.path.split(path)
    try:
        fd, unfinished = tempfile.mkstemp(prefix=f".{name}.", dir=directory or ".")
        try:
            try:
                os.fchmod(fd, mode)
                # All of it now: a full disk is an error here, but a SIGBUS later.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(fd, 0, len_bytes)
                else:
                    os.ftruncate(fd, len_bytes)
                memory = mmap.mmap(fd, len_bytes)
            finally:
                os.close(fd)
            fill(memory)
            os.link(unfinished, path)  # unlike a renaming, never over another file
        finally:
            os.unlink(unfinished)
    except FileExistsError:
        raise
    except OSError as error:
        raise MemoryMapError(f"the region {path} cannot be made: {error.strerror or error}") from None
    return memory


def map_file(path: str, readonly: bool) -> mmap.mmap:
    """Maps the file of a shared region. Raises MemoryMapError, which says what the file is instead."""
    try:
        if not is_regular(path):
            raise MemoryMapError(f"{path} is no region: it is no regular file")
        access = os.O_RDONLY if readonly else os.O_RDWR
        fd = os.open(path, access | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except FileNotFoundError:
        raise MemoryMapError(f"there is no file {path}: StateManager.create makes one") from None
    except OSError as error:
        hint = ""
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS) and not readonly and os.access(path, os.R_OK):
            hint = "; it may be read: attach with readonly=True"
        raise MemoryMapError(f"the region {path} cannot be opened: {error.strerror}{hint}") from None
    try:
        wrong = _what_is_wrong(fd)
        if wrong:
            raise MemoryMapError(f"{path} {wrong}")
        return mmap.mmap(fd, 0, access=mmap.ACCESS_READ if readonly else mmap.ACCESS_WRITE)
    except (OSError, ValueError) as error:
        if isinstance(error, StateError):
            raise
        raise MemoryMapError(f"the region {path} cannot be mapped: {error}") from None
    finally:
        os.close(fd)


def kind_of_file(path: str) -> str:
    """What a file holds, if it is live memory of this package: "" for everything else, and for what cannot be read."""
    with suppress(OSError):
        if is_regular(path):
            with open(path, "rb") as file:
                head = file.read(spec.HEADER_LEN_BYTES)
                if head.startswith(REGION_MAGIC):
                    file.seek(_number(head, "region_len"))
                    return "a device's mirror" if file.read(4) == MIRROR_MAGIC else "a region that processes share"
    return ""


def _number(header: bytes, name: str) -> int:
    field = _HEADER[name]
    return int.from_bytes(header[field.offset : field.offset + field.size], "little")


def other_layout(header: bytes) -> str:
    """Which layout a region's header is of, if it is not this version's; else ""."""
    version, schema = _number(header, "layout_version"), _number(header, "schema_hash")
    if (version, schema) == (spec.LAYOUT_VERSION, spec.SCHEMA_HASH):
        return ""
    age = "another" if version == spec.LAYOUT_VERSION else "a newer" if version > spec.LAYOUT_VERSION else "an older"
    return (
        f"is of {age} layout: version {version} with schema 0x{schema:08x}, this is version {spec.LAYOUT_VERSION} with "
        f"schema 0x{spec.SCHEMA_HASH:08x}"
    )


def _what_is_wrong(fd: int) -> str:
    """Why the file is no shared region of this version, as far as its size and magics say; "" if nothing does."""
    size = os.fstat(fd).st_size
    header = os.pread(fd, spec.HEADER_LEN_BYTES, 0)
    if not header:
        return "is empty"
    if header.startswith(IMAGE_MAGIC):
        return "is a saved state: StateManager.load(path) and restore(path) read it"
    if not header.startswith(REGION_MAGIC):
        return f"is no region: it begins with {header[:4]!r}, not {REGION_MAGIC!r}"
    if len(header) < spec.HEADER_LEN_BYTES:
        return f"is truncated: it has {size} bytes"
    wrong = other_layout(header)
    if wrong:
        return wrong
    profile = spec.PROFILES.get(profile_name(_number(header, "profile")))
    region_len = _number(header, "region_len")
    if profile is None or profile.region_len != region_len:
        return f"is damaged: a header of profile {_number(header, 'profile')} with {region_len} bytes"
    trailer = os.pread(fd, 8, region_len)
    if trailer.startswith(MIRROR_MAGIC) and size == mirror_len(region_len):
        return "is a device's mirror, which only the device's link writes: feagi_state.attach(path) reads it"
    if size == region_len:
        return "is a bare region, not one that processes share"
    wanted = shared_len(profile.id)
    if size < wanted:
        return f"is truncated: it has {size} bytes of {wanted}"
    if size > wanted:
        return f"is no region: it has {size} bytes, {wanted} would be right"
    magic, version = struct.unpack("<4sI", trailer)
    if magic != SHARED_MAGIC:
        return f"is damaged: {magic!r} in place of {SHARED_MAGIC!r} behind the region"
    if version != spec.SHARED_VERSION:
        return f"is a region shared by version {version} of the protocol, this is version {spec.SHARED_VERSION}"
    return ""
