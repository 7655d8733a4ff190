"""Makes a board of MicroPython's unix port: a folder is its flash, and a soft reset is a new process.

    python -m feagi_state.unix_board /path/to/micropython     in that folder, with stdin and stdout on its serial line

On a board main.py runs at power-on and after Ctrl-D at the prompt, and what follows is the prompt. Here too.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
from typing import NoReturn

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """In the child: be killed when the thread that started us ends, so that no board outlives its runner."""
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def main(micropython: str) -> NoReturn:
    """Run the board until its MicroPython ends in another way than by a soft reset."""
    while True:
        program = ["-i", "main.py"] if os.path.exists("main.py") else []
        status = subprocess.call([micropython, *program], preexec_fn=die_with_parent)
        if status != 0:
            sys.exit(128 - status if status < 0 else status)
        os.write(1, b"MPY: soft reboot\r\n")


if __name__ == "__main__":
    main(sys.argv[1])
