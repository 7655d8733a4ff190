"""Random schedules of both sides of the link, by the thousand; and that they would find what is wrong."""

from __future__ import annotations

import ctypes
import os
import shutil
import sys
from pathlib import Path

import pytest

from common import CORE, ROOT, run
from schedules import Schedule, run_schedules
from simulation import COUNTED, compile_device

SCHEDULES = 10_000
FOUND = [4001153]  # by `make fuzz`, and mended
HOST = ROOT / "host" / "feagi_state"
SCRIPT = ROOT / "tests" / "link" / "schedules.py"


@pytest.mark.parametrize("seed", [*range(100), *FOUND])
def test_a_schedule(device: ctypes.CDLL, seed: int) -> None:
    Schedule(device, seed).run()


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_ten_thousand_schedules(device_library: Path) -> None:
    result = run_schedules(device_library, range(SCHEDULES), os.cpu_count() or 1)
    assert not result.failed, f"{result.summary()}\nseed {result.failed[0][0]}: {result.failed[0][1]}"
    counts = result.counts
    assert counts["schedules"] == SCHEDULES
    assert not any(counts[what] for what in COUNTED)
    # And they had something to find.
    assert counts["pages"] > 20 * SCHEDULES and counts["events"] > 10 * SCHEDULES and counts["answered"] > SCHEDULES


# File, what is there, what stands there instead. The line's text is there once.
C_MUTANTS = {
    "the sequence guard comes too late": ("feagi_spec.h", "FEAGI_LINK_SEQUENCE_GUARD 96", "FEAGI_LINK_SEQUENCE_GUARD 250"),
    "careful for ever": ("feagi_link_delta.c", "(l->run.cautious != 0));", "0);"),
    "what was lost is not sent again": ("feagi_link_delta.c", "feagi_region_mark(l->region, at, len_bytes);", "(void)at;"),
    "half a page": ("feagi_link_delta.c", "out->len = before; // never half a page", "(void)before;"),
    "a repair is a delta": ("feagi_link_delta.c", "l->run.repair = true;", "l->run.repair = false;"),
    "marks are not taken": ("feagi_link_delta.c", "dirty[0] &= ~(words << bit);", ""),
    "marks of other pages are taken": ("feagi_link_delta.c", "dirty[0] &= ~(words << bit);", "dirty[0] = 0;"),
    "marks of a page that did not fit are lost": ("feagi_link_delta.c", "dirty[0] |= words << bit;", ""),
    "a trimmed word": ("feagi_link_delta.c", "len_bytes > 4 * count - 3", "len_bytes > 0"),
    "no CRC": ("feagi_frame.c", "feagi_crc_update(seed, buf, len_bytes) != CRC_OF_WHOLE", "seed == 1"),
    "no session in the CRC": ("feagi_link_receive.c", "opening ? 0 : l->session, &frame", "0, &frame"),
    "a session begins with old numbers": ("feagi_link_receive.c", "feagi_port_clear(&l->run, sizeof l->run);", "l->run.seq = 0;"),
    "a command is not remembered": ("feagi_link_receive.c", "(l->run.reply_known || l->run.digest_due) &&", "l->run.digest_due &&"),
    "an old command": ("feagi_link_receive.c", "!feagi_link_is_behind(frame->seq, l->reply_seq)", "frame->seq == l->reply_seq"),
    "an event is released unheard": ("feagi_link_receive.c", "feagi_events_release(l->region, count);", "feagi_events_release(l->region, count + 1u);"),
    "lost events are forgotten": ("feagi_link_receive.c", "l->lost_acked += l->lost_sent;", "l->lost_acked += l->lost_sent + 1u;"),
    "lost events are told at every event": ("feagi_link.c", "if (lost && !l->run.lost_flying) {", "if (lost) {"),
}
PYTHON_MUTANTS = {
    "LIVE is written first": ("session.py", "if changed and state != LinkState.LIVE:", "if changed:"),
    "a delta behind a gap": ("session.py", "follows = ahead == 1", "follows = True"),
    "an event twice": ("session.py", "if frame.seq == (self._event_last + 1) & 255:", "if frame.seq:"),
    "an old session": ("session.py", "hello.boot in self._used_sessions or", ""),
    "an incomplete snapshot": ("session.py", "and not self._missing:", "and len(self._missing) < 5:"),
    "a command goes on in the next session": ("commands.py", "        current, self._current = self._current, None\n", "        current = None\n"),
    "a caller is told that nothing ran": ("errors.py", "    may_have_run = True\n", "    may_have_run = False\n"),
    "a reply to another command": ("commands.py", "frame.seq != current.seq", "frame.seq == -1"),
}


def test_what_is_changed_in_mutants_is_there_once() -> None:
    for folder, mutants in ((CORE, C_MUTANTS), (HOST, PYTHON_MUTANTS)):
        for name, (file, there, _) in mutants.items():
            assert (folder / file).read_text().count(there) == 1, name


def mutated(folder: Path, to: Path, mutant: tuple[str, str, str]) -> Path:
    """A copy of the folder with one thing changed."""
    file, there, instead = mutant
    shutil.copytree(folder, to)
    (to / file).write_text((to / file).read_text().replace(there, instead))
    return to


def assert_found(library: Path, **environment: str) -> None:
    done = run(sys.executable, SCRIPT, "--library", library, "--count", "12000", "--failures", "1", environment=environment)
    assert done.returncode == 1 and "Violation" in done.stdout, done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("name", C_MUTANTS)
def test_schedules_find_what_is_wrong_in_the_device(name: str, tmp_path: Path) -> None:
    core = mutated(CORE, tmp_path / "core", C_MUTANTS[name])
    assert_found(compile_device(tmp_path, "-Wno-error", core=core))


@pytest.mark.slow
@pytest.mark.parametrize("name", PYTHON_MUTANTS)
def test_schedules_find_what_is_wrong_in_the_host(name: str, tmp_path: Path, device_library: Path) -> None:
    mutated(HOST, tmp_path / "feagi_state", PYTHON_MUTANTS[name])
    assert_found(device_library, PYTHONPATH=str(tmp_path))
