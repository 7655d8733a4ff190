"""The package feagi-state: its modules are small, what npm packs is all that it needs, and its types are right."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest

from common import ROOT, run

PACKAGE = ROOT / "host" / "web"
HERE = ROOT / "tests" / "web"
MODULES = ("feagi_state.wasm", "feagi_state_threaded.wasm")
EXAMPLE = """
import { open, openStore } from "feagi-state";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
const file = fileURLToPath(import.meta.resolve("feagi-state/feagi_state.wasm"));
const module = await WebAssembly.compile(readFileSync(file));
const region = await open({ module });
region.neuron_count = 5;
const store = await openStore("nowhere");
await store.save(region.snapshot());
region.neuron_count = 6;
region.restore(await store.load());
console.log(JSON.stringify([region.neuron_count, store.durable, store.reason]));
"""


@pytest.mark.parametrize("name", MODULES)
def test_a_module_is_no_larger_than_24_kib(name: str) -> None:
    assert 1000 < (PACKAGE / "wasm" / name).stat().st_size <= 24 * 1024


@pytest.fixture(scope="module")
def packed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file that npm would publish."""
    folder = tmp_path_factory.mktemp("pack")
    done = run("npm", "pack", "--json", "--pack-destination", folder, PACKAGE)
    assert done.returncode == 0, done.stderr
    [made] = json.loads(done.stdout)
    return folder / made["filename"]


def test_the_package_has_at_most_80_kib(packed: Path) -> None:
    assert packed.stat().st_size <= 80 * 1024


def test_what_is_packed_is_all_that_it_needs(packed: Path, tmp_path: Path) -> None:
    installed = tmp_path / "node_modules" / "feagi-state"
    shutil.unpack_archive(packed, tmp_path)
    installed.parent.mkdir()
    (tmp_path / "package").rename(installed)
    assert "dependencies" not in json.loads((installed / "package.json").read_text())
    (tmp_path / "example.mjs").write_text(EXAMPLE)
    done = run("node", tmp_path / "example.mjs", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [5, False, "storage is refused here: there is no IndexedDB"]


def test_package_and_host_have_one_version() -> None:
    host = re.search(r'^version = "(.+)"$', (ROOT / "host" / "pyproject.toml").read_text(), re.MULTILINE)
    assert host
    assert json.loads((PACKAGE / "package.json").read_text())["version"] == host[1]


def test_every_export_is_described() -> None:
    code = f"console.log(Object.keys(await import('{PACKAGE / 'index.js'}')).join(' '))"
    exported = run("node", "--input-type=module", "--eval", code).stdout.split()
    described = (PACKAGE / "index.d.ts").read_text()
    assert exported
    assert [name for name in exported if not re.search(rf"\b(class|function|const) {name}\b|^    {name},$", described, re.MULTILINE)] == []


@pytest.mark.slow
def test_a_program_in_typescript_is_checked_against_the_types() -> None:
    done = run("node", HERE / "node_modules" / "typescript" / "bin" / "tsc", "--project", HERE)
    assert (done.returncode, done.stdout) == (0, "")
