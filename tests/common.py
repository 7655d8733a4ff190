"""What tests share: where things are, and the flags of our C."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "firmware" / "core"
PORT = ROOT / "firmware" / "port"
VECTORS = ROOT / "shared_spec" / "vectors"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]


def build_firmware(board: str, name: str, user_c_modules: Path) -> Path:
    """Builds an emulated board's firmware with these modules inside, and returns it."""
    build = ROOT / "build" / "firmware" / name
    mpy_dir = (ROOT / "build" / "stamps" / "mpy_dir").read_text().strip()
    tools = Path(sys.executable).parent
    command = ["make", "-C", f"{mpy_dir}/ports/qemu", "-j2", f"BOARD={board}", f"BOARD_DIR={ROOT}/boards/{board}", f"BUILD={build}"]
    command += [f"MICROPY_MPYCROSS={tools}/mpy-cross", "FROZEN_MANIFEST=", f"USER_C_MODULES={user_c_modules}"]
    # Without the flags of the make that may have started these tests: its targets are not this one's.
    environment = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS", "MAKEOVERRIDES")}
    environment["PATH"] = f"{tools}:{environment['PATH']}"
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return build / "firmware.elf"
