"""Saved states: a head with a CRC, then a region's bytes up to its events, the same on every platform.

Written beside its name, forced to the disk, then renamed: whoever dies or loses power at any instant leaves the old
file or the new one, whole.
"""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from typing import Final

from . import spec
from ._core import check_image
from .errors import PersistenceError
from .region_files import IMAGE_MAGIC, REGION_MAGIC, is_regular, kind_of_file, other_layout
from .sections import struct_of

__all__ = ["read_image", "write_image"]

_HEAD: Final = struct.Struct("<" + struct_of(spec.IMAGE_FIELDS))
_HEAD_LEN: Final = spec.IMAGE_LEN_BYTES
_LONGEST: Final = max(profile.region_len for profile in spec.PROFILES.values())


def _head(image: bytes, saved_at_ms: int) -> bytes:
    """The head of a saved state."""

    def with_crc(crc: int) -> bytes:
        magic = int.from_bytes(IMAGE_MAGIC, "little")
        return _HEAD.pack(magic, spec.IMAGE_VERSION, len(image), crc, saved_at_ms).ljust(_HEAD_LEN, b"\0")

    return with_crc(zlib.crc32(image, zlib.crc32(with_crc(0))))


def write_image(path: str, image: bytes, saved_at_ms: int, mode: int) -> None:
    """Saves the first bytes of a region, in place of what was saved under this name, with these permissions.

    Raises PersistenceError; the old file is untouched then.
    """
    # Where a link leads, the file is replaced, not the link.
    path = os.path.realpath(path)
    live = kind_of_file(path)
    if live:
        raise PersistenceError(f"{path} is {live}, which is not overwritten: save to another name")
    directory, name = os.path.split(path)
    try:
        if os.path.exists(path) and not is_regular(path):
            raise PersistenceError(f"{path} is no regular file: save to another name")
        fd, unfinished = tempfile.mkstemp(prefix=f".{name}.", dir=directory)
        try:
            try:
                os.fchmod(fd, mode)
                _write_all(fd, _head(image, saved_at_ms) + image)
                os.fsync(fd)
            finally:
                os.close(fd)
            os.replace(unfinished, path)
        except BaseException:
            os.unlink(unfinished)
            raise
        _sync_directory(directory)
    except OSError as error:
        raise PersistenceError(f"{path} cannot be saved: {error.strerror or error}") from None


def _write_all(fd: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def _sync_directory(directory: str) -> None:
    """Makes a renaming outlive a loss of power. Raises OSError."""
    fd = os.open(directory, os.O_RDONLY | os.O_CLOEXEC | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def read_image(path: str) -> bytes:
    """The first bytes of the region that was saved: its CRC, layout and contents are right. Raises PersistenceError,
    which says what is wrong with the file.
    """
    data = _read(path)
    if not data:
        raise PersistenceError(f"{path} is empty")
    if data.startswith(REGION_MAGIC):
        raise PersistenceError(f"{path} is no saved state but a region: StateManager.attach(path) maps it")
    if not data.startswith(IMAGE_MAGIC):
        raise PersistenceError(f"{path} is no saved state: it begins with {data[:4]!r}, not {IMAGE_MAGIC!r}")
    if len(data) < _HEAD_LEN:
        raise PersistenceError(f"{path} is truncated: it has {len(data)} bytes of its head's {_HEAD_LEN}")
    _, version, len_bytes, crc, _ = _HEAD.unpack_from(data)
    if version != spec.IMAGE_VERSION:
        age = "a newer" if version > spec.IMAGE_VERSION else "an older"
        raise PersistenceError(f"{path} was saved by {age} version: format {version}, this is {spec.IMAGE_VERSION}")
    image = data[_HEAD_LEN:]
    if len(image) < len_bytes:
        raise PersistenceError(f"{path} is truncated: it has {len(image)} bytes of the region, {len_bytes} were saved")
    if len(image) > len_bytes:
        raise PersistenceError(f"{path} is damaged: {len(image) - len_bytes} bytes or more follow what was saved")
    crc_at = spec.IMAGE_FIELDS["crc"].offset
    head = data[:crc_at] + bytes(4) + data[crc_at + 4 : _HEAD_LEN]
    if zlib.crc32(image, zlib.crc32(head)) != crc:
        raise PersistenceError(f"{path} is damaged: its bytes have another CRC than when they were saved")
    # What is wrong from here on was saved like that.
    if len(image) < spec.HEADER_LEN_BYTES or not image.startswith(REGION_MAGIC):
        raise PersistenceError(f"{path} holds no region")
    wrong = other_layout(image[: spec.HEADER_LEN_BYTES])
    if wrong:
        raise PersistenceError(f"{path} {wrong}")
    wrong = check_image(image) or ""
    if wrong:
        raise PersistenceError(f"{path} holds no valid state: {wrong}")
    return image


def _read(path: str) -> bytes:
    """The file, as far as a saved state can reach. Raises PersistenceError."""
    try:
        if not is_regular(path):
            raise PersistenceError(f"{path} is no regular file")
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        with open(fd, "rb") as file:
            return file.read(_HEAD_LEN + _LONGEST + 1)
    except FileNotFoundError:
        raise PersistenceError(f"there is no file {path}") from None
    except OSError as error:
        raise PersistenceError(f"{path} cannot be read: {error.strerror or error}") from None
