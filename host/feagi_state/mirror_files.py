"""Where mirrors lie in the file system, and the owner's side of them: names, locks, making, taking over and
replacing.

A mirror called NAME is the file `NAME.mirror` in the mirror directory. Its owner holds a lock on `NAME.lock` for as
long as it lives: the system releases it, however the owner ends. A file is never shortened or overwritten in place,
since others map it: a new layout gets a new file that is renamed over the old one.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import re
import stat
import tempfile
import time
from pathlib import Path
from typing import Final

from . import spec
from ._core import Mirror, mirror_len, region_shape
from .clock import now_s
from .errors import MemoryMapError
from .spec import LinkState

__all__ = ["OwnedMirror", "default_dir", "mirror_names", "mirror_path", "safe_name"]

_SUFFIX: Final = ".mirror"
_NAMES_TRIED: Final = 1000
_TRAILER: Final = spec.MIRROR_FIELDS
# What must be equal for a file to be used for another session: all of the header but the boot id and the flags.
_FLAGS: Final = spec.HEADER_FIELDS["flags"]
_FIXED_HEADER: Final = (
    slice(0, spec.HEADER_FIELDS["boot_id"].offset),
    slice(_FLAGS.offset + _FLAGS.size, spec.HEADER_LEN_BYTES),
)


def default_dir() -> Path:
    """The mirror directory: $FEAGI_STATE_DIR, or one in memory that only this user can open.

    It need not exist yet.
    """
    chosen = os.environ.get("FEAGI_STATE_DIR")
    if chosen:
        return Path(chosen)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    if runtime and os.access(runtime, os.W_OK | os.X_OK):
        return Path(runtime) / "feagi-state"
    shared = Path("/dev/shm")
    parent = shared if os.access(shared, os.W_OK | os.X_OK) else Path(tempfile.gettempdir())
    return parent / f"feagi-state-{os.getuid()}"


def safe_name(text: str) -> str:
    """`text` as a mirror's name: letters, digits, `.`, `_` and `-`, at most 64 characters, not empty."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", text).strip(".-")[:64]
    return name or "device"


def mirror_path(name: str, mirror_dir: str | os.PathLike[str] | None = None) -> Path:
    """The file of the mirror called `name`. Raises MemoryMapError where check_own does."""
    directory = Path(mirror_dir or default_dir())
    check_own(directory)
    return directory / f"{name}{_SUFFIX}"


def mirror_names(mirror_dir: str | os.PathLike[str] | None = None) -> list[str]:
    """Names of the mirrors that are there, live or not, in alphabetical order.

    Raises MemoryMapError if the directory may not be read.
    """
    return [name[: -len(_SUFFIX)] for name in files_in(Path(mirror_dir or default_dir())) if name.endswith(_SUFFIX)]


def files_in(directory: Path) -> list[str]:
    """Names of the files in a directory of ours, in alphabetical order; none where there is none.

    Raises MemoryMapError if it may not be read: nobody should take that for none.
    """
    check_own(directory)
    try:
        return sorted(os.listdir(directory))
    except PermissionError:
        raise MemoryMapError(no_permission(directory)) from None
    except OSError:
        return []


def no_permission(directory: Path) -> str:
    """What to say of a directory that may not be read: whose it is, when it is another user's."""
    for path in (*reversed(directory.parents), directory):
        if not os.access(path, os.X_OK if path != directory else os.R_OK | os.X_OK):
            try:
                others = os.stat(path).st_uid != os.geteuid()
            except OSError:
                break
            return f"no permission to read {path}" + (": it belongs to another user" if others else "")
    return f"no permission to read {directory}"


def is_locked(path: Path) -> bool:
    """Whether a living process holds the lock that it took on this file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return False
    except OSError:
        return True
    finally:
        os.close(fd)


def make_own_dir(directory: Path) -> None:
    """Makes a directory for mirrors or ports. Raises MemoryMapError if it cannot, or where check_own does."""
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as error:
        raise MemoryMapError(f"the directory {directory} cannot be made: {error.strerror}") from None
    check_own(directory)


def check_own(directory: Path) -> None:
    """Raises MemoryMapError if `directory` is in the default place and could be somebody else's.

    The default may lie in a folder that everybody may write, where somebody else can have been first, with links in it
    that lead our writing astray or mirrors that we would believe. What the user named is the user's affair.
    """
    base = default_dir()
    if os.environ.get("FEAGI_STATE_DIR") or base not in (directory, *directory.parents):
        return
    for path in (base, directory):
        try:
            found = os.lstat(path)
        except OSError:
            continue  # not there: nothing to believe
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
            raise MemoryMapError(f"{path} belongs to somebody else: set FEAGI_STATE_DIR to a directory of your own")


def lock_file(path: Path, wait_s: float = 0.5) -> int | None:
    """A descriptor of the file, made if need be, with the lock that tells of a living owner; None: another has it.

    A reader that looks whether there is an owner shares the lock for an instant: only then it is tried again, for
    `wait_s`. Raises OSError.
    """
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    deadline = now_s() + wait_s
    while True:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return fd
        except OSError:
            if _is_exclusive(fd) or now_s() >= deadline:
                os.close(fd)
                return None
            time.sleep(0.001)


def claim_name(directory: Path, wanted: str) -> tuple[str, int]:
    """(a name that no living process has in the directory, the descriptor of its lock): `wanted` made safe, or with
    -2, -3... behind it. Raises MemoryMapError if the directory cannot be used.
    """
    wanted = safe_name(wanted)
    for number in range(1, _NAMES_TRIED):
        name = wanted if number == 1 else f"{wanted}-{number}"
        try:
            fd = lock_file(directory / f"{name}.lock")
        except OSError as error:
            raise MemoryMapError(f"the directory {directory} cannot be used: {error.strerror}") from None
        if fd is not None:
            return name, fd
    raise MemoryMapError(f"{wanted} and {_NAMES_TRIED - 2} names like it are taken in {directory}")


def _is_exclusive(fd: int) -> bool:
    """Whether somebody has this file's lock to himself, and so is its owner."""
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    fcntl.flock(fd, fcntl.LOCK_UN)
    return False


def _text(value: str, size: int) -> bytes:
    """UTF-8 in a field of `size` bytes, cut at a character, zero-filled."""
    return value.encode("utf-8", "replace")[:size].decode("utf-8", "ignore").encode().ljust(size, b"\0")


class OwnedMirror:
    """The owner's hold on one name in the mirror directory. One thread at a time."""

    def __init__(self, wanted: str, mirror_dir: str | os.PathLike[str] | None = None, mode: int = 0o600) -> None:
        """Takes the name `wanted`, or with -2, -3... behind it if it has a living owner. `mode`: permissions of the
        mirror's file.

        Raises MemoryMapError if the directory cannot be used.
        """
        self._dir = Path(mirror_dir or default_dir())
        self._mode = mode
        self._mirror: Mirror | None = None
        self._texts: tuple[bytes, bytes] | None = None
        make_own_dir(self._dir)
        self.name, self._lock_fd = claim_name(self._dir, wanted)

    @property
    def path(self) -> Path:
        """The mirror's file; there after the first `open`."""
        return mirror_path(self.name, self._dir)

    def open(self, header: bytes, device_name: str, port: str) -> Mirror:
        """A mirror for a region with this header: the one that is there, with its values and events, if the layout
        and what else it says of itself are the same; else a new one in its place. Raises MemoryMapError.
        """
        texts = (_text(device_name, _TRAILER["device_name"].size), _text(port, _TRAILER["port"].size))
        try:
            old = self._mirror or self._map_old()
            if old is not None:
                if self._same(old, header, texts):
                    if self._mirror is None:
                        self._take_over(old)
                    self._mirror = old
                    return old
                # Who maps it finds the new file by its name.
                old.set_trailer_u32(_TRAILER["link_state"].offset, LinkState.CLOSED)
            self._mirror = self._make(header, texts)
            return self._mirror
        except OSError as error:
            raise MemoryMapError(f"the mirror {self.path} cannot be made: {error.strerror or error}") from None
        except ValueError as error:
            raise MemoryMapError(f"the mirror {self.path} cannot be made: {error}") from None

    def close(self) -> None:
        """Gives the name back. The file stays, with the last values. May be called more than once."""
        self._mirror = None
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _map_old(self) -> Mirror | None:
        """The mirror that a former owner left under this name, None if there is none that can be used."""
        try:
            fd = os.open(self.path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError:
            return None
        try:
            return Mirror(mmap.mmap(fd, 0))
        except (OSError, ValueError):
            return None
        finally:
            os.close(fd)

    @staticmethod
    def _same(mirror: Mirror, header: bytes, texts: tuple[bytes, bytes]) -> bool:
        have = mirror.read_page(0)
        return all(have[part] == header[part] for part in _FIXED_HEADER) and texts == tuple(
            mirror.trailer_bytes(_TRAILER[name].offset, _TRAILER[name].size) for name in ("device_name", "port")
        )

    def _take_over(self, mirror: Mirror) -> None:
        os.chmod(self.path, self._mode)
        mirror.set_trailer_u32(_TRAILER["link_state"].offset, LinkState.CONNECTING)
        mirror.take_over()
        mirror.set_trailer_u32(_TRAILER["owner_pid"].offset, os.getpid())

    def _make(self, header: bytes, texts: tuple[bytes, bytes]) -> Mirror:
        len_bytes = mirror_len(region_shape(header)[0])
        fd, unfinished = tempfile.mkstemp(prefix=f".{self.name}.", dir=self._dir)
        try:
            try:
                os.fchmod(fd, self._mode)
                # All of it now: a full disk is an error here, but a SIGBUS later.
                if hasattr(os, "posix_fallocate"):
                    os.posix_fallocate(fd, 0, len_bytes)
                else:
                    os.ftruncate(fd, len_bytes)
                mirror = Mirror(mmap.mmap(fd, len_bytes), header)
            finally:
                os.close(fd)
            for name, text in zip(("device_name", "port"), texts):
                mirror.set_trailer_bytes(_TRAILER[name].offset, text)
            mirror.set_trailer_u32(_TRAILER["owner_pid"].offset, os.getpid())
            mirror.set_trailer_u32(_TRAILER["link_state"].offset, LinkState.CONNECTING)
            os.replace(unfinished, self.path)
        except BaseException:
            os.unlink(unfinished)
            raise
        return mirror
