"""What is committed is what the spec says, and the generator refuses a spec that contradicts itself."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from common import ROOT
from generator.model import Spec, SpecError

GENERATE = [sys.executable, str(ROOT / "shared_spec" / "generate.py")]


def changed_spec(tmp_path: Path, name: str, old: str, new: str) -> Path:
    """A copy of the spec with one text replaced."""
    for file in ("spec.toml", "frames.cddl"):
        shutil.copy(ROOT / "shared_spec" / file, tmp_path)
    text = (tmp_path / name).read_text()
    assert text.count(old) == 1, f"{old!r} is in {name} {text.count(old)} times"
    (tmp_path / name).write_text(text.replace(old, new))
    return tmp_path


def test_committed_files_are_what_the_spec_generates() -> None:
    done = subprocess.run([*GENERATE, "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_check_names_every_file_that_a_changed_spec_would_change(tmp_path: Path) -> None:
    spec = changed_spec(tmp_path, "spec.toml", "GENOME_STATE_CHANGED = 2", "GENOME_STATE_CHANGED = 9")
    done = subprocess.run([*GENERATE, "--check", "--spec", str(spec)], capture_output=True, text=True)
    assert done.returncode == 1
    for name in ("firmware/core/feagi_spec.h", "host/feagi_state/spec.py", "firmware/micropython/_feagi_state.py", "shared_spec/LAYOUT.md"):
        assert name in done.stderr


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("GENOME_STATE_CHANGED = 2", "GENOME_STATE_CHANGED = 9"),
        ('name = "memory_usage"', 'name = "memory"'),
        ('"agent_count", offset = 8, type = "u32"', '"agent_count", offset = 8, type = "f32"'),
        ("pages = [0, 48, 64]", "pages = [0, 64]"),
    ],
)
def test_schema_hash_follows_what_a_reader_must_know(tmp_path: Path, old: str, new: str) -> None:
    assert Spec(changed_spec(tmp_path, "spec.toml", old, new)).schema_hash != Spec(ROOT / "shared_spec").schema_hash


def test_schema_hash_does_not_follow_words_for_humans(tmp_path: Path) -> None:
    spec = Spec(changed_spec(tmp_path, "spec.toml", "memory neurons in use", "memory neurons that are in use"))
    assert spec.schema_hash == Spec(ROOT / "shared_spec").schema_hash


@pytest.mark.parametrize(
    ("file", "old", "new", "says"),
    [
        ("spec.toml", '"agent_count", offset = 8', '"agent_count", offset = 12', "agent_count"),
        ("spec.toml", '"last_modified", offset = 56, type = "u64"', '"last_modified", offset = 56, type = "u32"', "genome_timestamp"),
        ("spec.toml", '"reserved1", offset = 77, type = "bytes[51]"', '"reserved1", offset = 77, type = "bytes[50]"', "core: size 128"),
        ("spec.toml", '"api_state", offset = 4, type = "u8", enum = "ServiceState"', '"api_state", offset = 4, type = "u8", enum = "Nothing"', "Nothing"),
        ("spec.toml", "events = 128", "events = 100", "power of two"),
        ("spec.toml", 'entry = "window"', 'entry = "stat"', "section fcl_windows: an entry of 32 bytes"),
        ("frames.cddl", "keepalive = []", "keepalive = [x: float]", "keepalive"),
        ("frames.cddl", "event-ack = []", "other = []", "same frames"),
    ],
)
def test_a_spec_that_contradicts_itself_is_refused_by_name(tmp_path: Path, file: str, old: str, new: str, says: str) -> None:
    with pytest.raises(SpecError, match=re.escape(says)):
        Spec(changed_spec(tmp_path, file, old, new))


def test_generated_files_carry_no_date() -> None:
    for name in ("firmware/core/feagi_spec.h", "host/feagi_state/spec.py", "shared_spec/vectors/frames.txt"):
        assert not re.search(r"20[2-9]\d-\d\d-\d\d", (ROOT / name).read_text())
