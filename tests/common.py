"""What tests share: where things are, and the flags of our C."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
CORE = ROOT / "firmware" / "core"
PORT = ROOT / "firmware" / "port"
VECTORS = ROOT / "shared_spec" / "vectors"
WARNINGS = ["-Wall", "-Wextra", "-Werror"]
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g"]
