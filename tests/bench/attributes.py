"""Counts the instructions that reading the state costs a program in Python on an emulated board, beside MicroPython's own ways to
read memory.

attribute_reads.py runs there, under QEMU's instruction counting: a nanosecond of the board's clock is then an eighth of an
instruction. The cost of a statement that reads is counted, bytecodes and all, without the loop around it.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from board_scripts import run_on, start_quiet

from common import CannotRun
from feagi_state.boards import Board, BoardError

SCRIPT = Path(__file__).with_name("attribute_reads.py")
NS_SHIFT = 3  # an instruction takes 2^3 ns
NS_AN_US = 1000


def measure(board: Board) -> dict[str, int]:
    """Instructions of a statement, by what attribute_reads.py calls it. Raises CannotRun."""
    counting = replace(board, arguments=(*board.arguments, "-icount", f"shift={NS_SHIFT},sleep=off"))
    try:
        with TemporaryDirectory() as folder, start_quiet(counting, Path(folder), SCRIPT) as started:
            said = run_on(started, "import attribute_reads; attribute_reads.run()")
    except BoardError as error:
        raise CannotRun(str(error)) from error
    found = re.findall(r"^(\w+) (\d+) us of (\d+)\r?$", said, re.MULTILINE)
    if not found:
        raise CannotRun(f"{SCRIPT.name} said {said!r}")
    return {name: round(int(time_us) * NS_AN_US / 2**NS_SHIFT / int(count)) for name, time_us, count in found}
