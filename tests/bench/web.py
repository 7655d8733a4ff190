"""What the package for browsers costs in Debian's Chromium: opening, reading, writing, saving."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from size import ROOT, run

FOLDER = ROOT / "tests" / "web"


def can_be_measured() -> bool:
    """Whether the browser and what drives it are there."""
    return bool(shutil.which("chromium") and shutil.which("node")) and (FOLDER / "node_modules").is_dir()


def times(folder: Path, loops: int) -> dict[str, float]:
    """web.WHAT_UNIT. Raises CannotMeasure."""
    return json.loads(run("node", FOLDER / "run_bench.mjs", folder / "chromium", str(loops)))
