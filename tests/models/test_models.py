"""The event ring, the mirror's pages and the link's deltas as models, which Spin explores in full: every order of steps that C11
allows and a crash at each of them, and whatever a line loses. A model is worth what it would find, so each barrier, order and
check that the code relies on is taken away in turn (-DMUTATE_...), and Spin has to find that."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from common import CORE, PORT

MODELS = Path(__file__).resolve().parent
STEPS = 2_000_000  # the longest path that Spin follows; a longer one is a failure of the test
QUOTE = re.compile(r"/\* (feagi_\w+\.[ch]) (\w+): (.*?) \*/")

COMPLETE = {
    "ring": [
        ["-DDEPTH=8"],
        ["-DDEPTH=4", "-DPOSITIONS=4", "-DCRASH_PRODUCER=1", "-DCRASH_CONSUMER"],
        ["-DDEPTH=4", "-DPOSITIONS=4", "-DCONTEXTS=2"],
    ],
    "page": [
        ["-DVERSIONS=3", "-DKILLS=1"],
        ["-DVERSIONS=2", "-DKILLS=2"],
        ["-DVERSIONS=2", "-DKILLS=1", "-DDEPTH=4"],
    ],
    "link": [
        ["-DLOSSES=2"],
        ["-DWRITES=1", "-DLOSSES=6", "-DEARLY=0"],  # so many that the sequence guard fires
        ["-DLOSSES=1", "-DRESTARTS=1", "-DEARLY=0"],
        ["-DHARMLESS_NO_BASE"],
    ],
}
BASE = {"ring": ["-DDEPTH=4"], "page": ["-DDEPTH=4", "-DVERSIONS=2", "-DKILLS=1"], "link": []}
MUTATIONS = {
    "ring": [
        ["-DMUTATE_HEAD_BEFORE_SLOT"],
        ["-DMUTATE_HEAD_STORE_RELAXED"],
        ["-DMUTATE_HEAD_LOAD_RELAXED"],
        ["-DMUTATE_TAIL_STORE_RELAXED"],
        ["-DMUTATE_TAIL_LOAD_RELAXED"],
        ["-DMUTATE_RELEASE_FIRST"],
        ["-DMUTATE_ONE_TOO_MANY"],
        ["-DMUTATE_REJECTED_NOT_COUNTED"],
        ["-DMUTATE_NO_LOCK", "-DCONTEXTS=2"],
        ["-DPOSITIONS=7"],  # no multiple of the capacity
    ],
    "page": [
        ["-DMUTATE_ODD_RELAXED"],
        ["-DMUTATE_REGION_RELAXED"],
        ["-DMUTATE_EVEN_RELAXED"],
        ["-DMUTATE_SHADOW_RELAXED"],
        ["-DMUTATE_REGION_FIRST"],
        ["-DMUTATE_EVEN_FIRST"],
        ["-DMUTATE_SHADOW_FIRST"],
        ["-DMUTATE_NO_SHADOW"],
        ["-DMUTATE_NO_TAKE_OVER"],
        ["-DMUTATE_TAKE_OVER_RELAXED"],
        ["-DMUTATE_TAKE_OVER_EVEN_RELAXED"],
        ["-DMUTATE_TAKE_OVER_EVEN_FIRST"],
        ["-DMUTATE_TAKE_OVER_NO_SHADOW"],
        ["-DMUTATE_FIRST_LOAD_RELAXED"],
        ["-DMUTATE_PAIR_LOADS_RELAXED"],
        ["-DMUTATE_NO_SECOND_CHECK"],
        ["-DMUTATE_LOAD_REGION_ONLY"],
        ["-DMUTATE_LOAD_NO_CHECK"],
        ["-DNUMBERS=4"],  # so few that a reader can miss a whole turn
    ],
    "link": [
        ["-DMUTATE_FIRST_FLIGHT_ONLY"],
        ["-DMUTATE_SPLIT_PAGE"],
        ["-DMUTATE_APPLY_GAP"],
        ["-DMUTATE_SHOW_HALF"],
        ["-DMUTATE_NO_GUARD", "-DWRITES=1", "-DLOSSES=9", "-DEARLY=0"],
    ],
}


def cases(table: dict[str, list[list[str]]]) -> list[object]:
    return [pytest.param(model, flags, id=" ".join([model, *flags])) for model, variants in table.items() for flags in variants]


def run(command: list[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    output = done.stdout + done.stderr
    assert done.returncode == 0, f"{' '.join(command)}\n{output}"
    return output


def explore(model: str, flags: list[str], folder: Path, optimise: str) -> str:
    """What Spin's verifier says of a model."""
    assert shutil.which("spin"), "spin is missing: `make test` installs it (Debian: apt-get install spin)"
    run(["spin", "-a", *flags, str(MODELS / f"{model}.pml")], folder)
    run(["gcc", optimise, "-w", "-DSAFETY", "-DMEMLIM=2000", "-o", "pan", "pan.c"], folder)
    return run(["./pan", f"-m{STEPS}", "-w23"], folder)


@pytest.mark.slow
@pytest.mark.parametrize(("model", "flags"), cases(COMPLETE))
def test_no_order_and_no_crash_breaks_a_property(model: str, flags: list[str], tmp_path: Path) -> None:
    said = explore(model, flags, tmp_path, "-O2")
    assert "errors: 0" in said, said
    assert re.search(r"Full statespace search for:.*assertion violations\s+\+.*invalid end states\s+\+", said, re.DOTALL), said
    for incomplete in ("Search not completed", "max search depth too small", "out of memory", "MEMLIM", "truncated"):
        assert incomplete not in said, said


@pytest.mark.slow
@pytest.mark.parametrize(("model", "flags"), cases(MUTATIONS))
def test_without_one_barrier_or_order_a_property_breaks(model: str, flags: list[str], tmp_path: Path) -> None:
    said = explore(model, [*BASE[model], *flags], tmp_path, "-O0")
    assert "errors: 1" in said and "assertion violated" in said, said


def test_every_mutation_of_a_model_is_tried() -> None:
    for model, variants in {name: COMPLETE[name] + MUTATIONS[name] for name in COMPLETE}.items():
        known = set(re.findall(r"\b(?:MUTATE|HARMLESS)_\w+", (MODELS / f"{model}.pml").read_text()))
        tried = {flag.removeprefix("-D") for flags in variants for flag in flags}
        assert known == {name for name in tried if name.startswith(("MUTATE_", "HARMLESS_"))}


def squeezed(code: str) -> str:
    return re.sub(r"\s+", "", code)


def body(source: str, function: str) -> str:
    """A function's body as the file has it, without its comments and its last brace."""
    code = re.sub(r"//[^\n]*", "", source)
    found = re.search(rf"^[\w ]+[ *]{function}\([^;{{]*\) {{\n(.*?)^}}", code, re.DOTALL | re.MULTILINE)
    assert found, f"there is no {function}"
    return found[1]


def test_models_quote_the_functions_as_they_are() -> None:
    """A function that changes has its model looked at again: its quotes, one after another, are its body."""
    quotes: dict[tuple[str, str], str] = {}
    for model in sorted(MODELS.glob("*.pml")):
        for file, function, statement in QUOTE.findall(model.read_text()):
            quotes[file, function] = quotes.get((file, function), "") + statement
    assert len(quotes) == 13
    for (file, function), quoted in quotes.items():
        source = next(path for path in (CORE / file, PORT / file) if path.exists()).read_text()
        assert squeezed(quoted) == squeezed(body(source, function)), f"{file} {function}: look at the model, then quote it anew"
