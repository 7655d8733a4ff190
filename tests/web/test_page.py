"""The page of host/web/page/ in headless Chromium: with a device in it that has the face of a SerialPort, with what the host saves, and
with real MicroPython on an emulated board behind `feagi-state serve --http`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from common import ROOT, emulated_boards, run
from feagi_state import StateManager, spec
from feagi_state.boards import find_board
from feagi_state.emulator import start_board

PAGE = ROOT / "host" / "web" / "page"
SCRIPT = ROOT / "tests" / "web" / "run_page.mjs"
SCRIPT_ON_A_HOST = ROOT / "tests" / "web" / "run_page_host.mjs"
LARGEST = 100 * 1024
STALE_MS = 2000
NAMES = re.findall(r'^    "(.+)": async', SCRIPT.read_text(encoding="utf-8"), re.MULTILINE)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """What each check said, and the folder with the files that they wrote."""
    folder = tmp_path_factory.mktemp("page")
    with StateManager.create(folder / "region", "host") as state:
        state.synapse_count = 4242
        for number in range(256):
            state.register_agent(f"agent {number}")
        state.save(folder / "host.feagi")
    done = run("node", SCRIPT, folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout), folder


@pytest.mark.parametrize("name", NAMES)
def test_in_chromium(ran: tuple[dict[str, Any], Path], name: str) -> None:
    assert ran[0][name] is None, ran[0][name]


def test_the_host_loads_what_the_page_saved(ran: tuple[dict[str, Any], Path]) -> None:
    state = StateManager.load(ran[1] / "saved.feagi")
    assert (state.neuron_count, [(agent.agent_id, agent.metadata) for agent in state.get_agents()]) == (777, [("caméra", "160x120")])


def test_a_recording_is_lines_of_json_that_begin_with_the_whole_state(ran: tuple[dict[str, Any], Path]) -> None:
    begin, link, state, *rest = map(json.loads, (ran[1] / "recording.ndjson").read_text(encoding="utf-8").splitlines())
    assert (begin["type"], begin["format"], begin["board"], link["state"]) == ("begin", "feagi-state recording 1", "fake", "LIVE")
    assert list(state["fields"]) == list(spec.CORE_FIELDS)
    assert state["fields"]["burst_engine_state"] == "UNAVAILABLE"
    changes: dict[str, Any] = {}
    for line in rest:
        if line["type"] == "change":
            changes |= line["fields"]
            assert int(line["device_ms"]) > 0
    assert (changes["neuron_count"], changes["genome_timestamp"], changes["agent_count"]) == (5, str(2**60), 1)
    agents = [line["value"] for line in rest if line["type"] == "section" and line["name"] == "agents"]
    assert [agent["agent_id"] for agent in agents[-1]] == ["cam"]
    assert [(line["kind"], line["arg"]) for line in rest if line["type"] == "event"] == [("256", 9)]
    assert rest[-1]["type"] == "link" and rest[-1]["state"] == "STALE"
    assert all(line["host_ms"] >= begin["host_ms"] for line in rest)


def test_the_page_has_at_most_100_kib() -> None:
    assert 10_000 < sum(file.stat().st_size for file in PAGE.rglob("*")) <= LARGEST


def test_nothing_of_a_board_is_taken_for_html() -> None:
    scripts = {file.name: file.read_text(encoding="utf-8") for file in PAGE.glob("*.js")}
    assert scripts
    assert [name for name, text in scripts.items() if re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b", text)] == []


@pytest.mark.parametrize("name", emulated_boards(lambda board: board.name == "qemu_m3"))
def test_a_board_behind_a_host(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FEAGI_STATE_DIR", str(tmp_path))
    cli = Path(sys.executable).parent / "feagi-state"
    lines = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with start_board(find_board(name)) as board, subprocess.Popen([cli, "serve", board.link_port, "--http-at", "0"], **lines) as host:
        try:
            url = next(line for line in host.stdout if line.startswith("page: ")).split()[1]
            with subprocess.Popen(["node", SCRIPT_ON_A_HOST, url, tmp_path, ROOT / "build", "v1.25.0, "], stderr=subprocess.PIPE, **lines) as script:
                try:
                    for line in script.stdout:
                        wanted = line.strip()
                        if wanted in ("kill", "restart"):
                            getattr(board, wanted)()
                            print("done", file=script.stdin, flush=True)
                    errors = script.stderr.read()
                    script.wait()
                finally:
                    script.kill()
        finally:
            host.kill()
    assert script.returncode == 0, errors
    found = json.loads(line)
    assert found["name"] == name
    assert found["staleAfter"] <= STALE_MS
    saved = StateManager.load(tmp_path / "saved.feagi")
    assert saved.memory_usage == 123456789
    assert "video_agent_01" in [agent.agent_id for agent in saved.get_agents()]
