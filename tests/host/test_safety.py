"""What others on the same machine may have prepared for us, and what a restart of it leaves behind."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

import feagi_state
from fake_device import FakeDevice, PtyDevice, layout
from feagi_state import spec
from feagi_state.boards import BoardError
from feagi_state.clock import now_s
from feagi_state.errors import MemoryMapError
from feagi_state.mirror import MirrorView
from feagi_state.mirror_files import OwnedMirror, default_dir, mirror_names
from feagi_state.running import PortEntry


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The default directory, in a place of the test's; not made yet."""
    monkeypatch.delenv("FEAGI_STATE_DIR", raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert default_dir() == tmp_path / "feagi-state"
    return default_dir()


def test_a_default_directory_that_others_may_write_is_not_used(base: Path) -> None:
    base.mkdir()
    base.chmod(0o777)
    with pytest.raises(MemoryMapError, match="belongs to somebody else"):
        OwnedMirror("unix")
    with pytest.raises(MemoryMapError, match="belongs to somebody else"):
        mirror_names()
    with pytest.raises(MemoryMapError, match="belongs to somebody else"):
        feagi_state.attach("unix")
    with pytest.raises(BoardError, match="belongs to somebody else"):
        PortEntry("unix", "unix").claim()


def test_a_default_directory_that_is_a_link_is_not_used(base: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    base.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(MemoryMapError, match="belongs to somebody else"):
        OwnedMirror("unix")
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("folder", ["", "ports"])
def test_a_lock_that_is_a_link_is_not_followed(base: Path, tmp_path: Path, folder: str) -> None:
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (base / "ports").mkdir(mode=0o700, parents=True)
    base.chmod(0o700)
    (base / folder / "unix.lock").symlink_to(precious)
    with pytest.raises((BoardError, MemoryMapError)):
        PortEntry("unix", "unix").claim() if folder else OwnedMirror("unix")
    assert precious.read_text() == "mine"


def test_a_mirror_of_before_a_restart_of_the_machine_is_stale(base: Path) -> None:
    """Left live by a power cut, with a clock that the new start has not reached yet."""
    region, _pages = layout("tiny")
    owned = OwnedMirror("unix")
    mirror = owned.open(bytes(region[: spec.HEADER_LEN_BYTES]), "unix", "/dev/ttyACM0")
    heard_ms = spec.MIRROR_FIELDS["heard_ms"].offset
    mirror.set_trailer_u32(spec.MIRROR_FIELDS["link_state"].offset, spec.LinkState.LIVE)
    mirror.set_trailer_u64(heard_ms, int(now_s() * 1000))
    with MirrorView(owned.path) as view:
        assert not view.stale
        mirror.set_trailer_u64(heard_ms, int(now_s() * 1000) + 10 * 24 * 3600 * 1000)
        assert view.stale
        assert view.link.stale


def test_a_pipe_or_a_port_is_not_opened_as_if_it_were_a_mirror(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with pytest.raises(MemoryMapError, match="no regular file"):
        feagi_state.attach(str(pipe))


def test_events_end_when_their_device_is_closed() -> None:
    with PtyDevice(FakeDevice(7)) as board:
        device = feagi_state.connect(board.port)
        events = device.events()
        closer = threading.Thread(target=device.close)
        closer.start()
        assert list(events) == []
        closer.join()
