"""What others install: an sdist that needs no checkout, and wheels that are alike however they were built."""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

from common import CORE, PORT, ROOT

pytestmark = pytest.mark.slow

HOST = ROOT / "host"
PACKAGE = HOST / "feagi_state"
# What setuptools itself writes into an sdist.
GENERATED = {"PKG-INFO", "setup.cfg"}
EXAMPLE = """
import feagi_state
from feagi_state import _core, spec
header = bytearray(_core.HEADER_LEN)
try:
    _core.region_shape(header)
except ValueError:
    print(_core.__file__, _core.SCHEMA_HASH == spec.SCHEMA_HASH)
"""
FOR_BROWSERS = """
from feagi_state.web_files import WebFiles, web_dir
print(WebFiles(web_dir()).read("/index.js")[0])
"""
# Stands in for an interpreter without the global lock: only what setup.py asks for differs.
FREE_THREADED = """
import runpy, sys, sysconfig
sysconfig.get_config_vars()["Py_GIL_DISABLED"] = 1
sys.argv = ["setup.py", "bdist_wheel", "--dist-dir", sys.argv[1]]
runpy.run_path("setup.py", run_name="__main__")
"""


def run(*command: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """What the command did, with no index to fetch from."""
    environment = {**os.environ, "PIP_NO_INDEX": "1", "PIP_DISABLE_PIP_VERSION_CHECK": "1", **environment}
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True, timeout=170)


def built(folder: Path, done: subprocess.CompletedProcess[str]) -> Path:
    """The one file that the command left in the folder."""
    assert done.returncode == 0, done.stdout + done.stderr
    [made] = folder.iterdir()
    return made


def build(what: str, source: Path, out: Path) -> Path:
    """The `what`, "sdist" or "wheel", of a folder, by this environment's setuptools."""
    return built(out, run(sys.executable, "-m", "build", f"--{what}", "--no-isolation", "--outdir", out, source, cwd=out.parent))


def names(archive: Path) -> set[str]:
    """The files in a wheel, or in an sdist below its one folder."""
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            return set(wheel.namelist())
    with tarfile.open(archive) as sdist:
        return {member.name.split("/", 1)[1] for member in sdist if member.isfile()}


def in_wheel(wheel: Path, name: str) -> str:
    """The text of a file of the wheel's .dist-info folder."""
    with zipfile.ZipFile(wheel) as opened:
        [path] = [path for path in opened.namelist() if path.endswith(f".dist-info/{name}")]
        return opened.read(path).decode()


def package_files(*suffixes: str) -> set[str]:
    """The files of the package with one of these suffixes, by their paths in it."""
    files = {path.relative_to(PACKAGE) for path in PACKAGE.rglob("*") if path.suffix in suffixes}
    return {path.as_posix() for path in files if "__pycache__" not in path.parts}


def given() -> set[str]:
    """What goes to boards and browsers, by its path in a checkout: this one's native and web modules are those that have been built."""
    patterns = ["boards/*/board.toml", "boards/*/main.py", "firmware/python/*.py", "build/mpy/*/*.mpy", "host/web/*.js"]
    patterns += [f"host/web/{folder}/**/*" for folder in ("page", "src", "wasm")]
    found = {path.relative_to(ROOT).as_posix() for pattern in patterns for path in ROOT.glob(pattern) if path.is_file()}
    assert any(name.endswith(".mpy") for name in found), "no native module has been built"
    assert "host/web/wasm/embedded.js" in found, "no WebAssembly module has been built"
    return {name for name in found if not name.startswith("boards/qemu_")}


def core_sources() -> set[str]:
    """The sources of the core that setup.py names."""
    for statement in ast.parse((HOST / "setup.py").read_text()).body:
        if isinstance(statement, ast.Assign) and getattr(statement.targets[0], "id", None) == "CORE":
            return {f"firmware/core/{name}.c" for name in ast.literal_eval(statement.value)}
    raise AssertionError("setup.py has no CORE")


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a build needs of a checkout, and what earlier builds leave in one."""
    top = tmp_path_factory.mktemp("checkout")
    shutil.copy(ROOT / "LICENSE", top)
    for source in (CORE, PORT):
        shutil.copytree(source, top / source.relative_to(ROOT))
    for name in given() | {"boards/qemu_m3/board.toml"}:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, top / name)
    (top / "host").mkdir(exist_ok=True)  # what browsers are given is in it
    for file in ("setup.py", "pyproject.toml"):
        shutil.copy(HOST / file, top / "host")
    ours = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(PACKAGE, top / "host" / "feagi_state", ignore=ours)
    for leftover in (
        "firmware/core/feagi_crc.o",
        "host/build/temp/feagi_crc.o",
        "host/dist/feagi_state-0.0.1.tar.gz",
        "host/feagi_state/_core.abi3.so",
        "host/feagi_state/__pycache__/cli.cpython-311.pyc",
        "host/.mypy_cache/CACHEDIR.TAG",
    ):
        (top / leftover).parent.mkdir(parents=True, exist_ok=True)
        (top / leftover).write_text("left by an earlier build")
    return top


@pytest.fixture(scope="module")
def sdist(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", checkout / "host", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist's folder, with nothing of ours near it."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder)
    [top] = folder.iterdir()
    return top


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("wheel", unpacked, tmp_path_factory.mktemp("wheel"))


def test_an_sdist_has_the_core_and_no_more_of_it_than_is_compiled(sdist: Path) -> None:
    firmware = {name for name in names(sdist) if name.startswith("firmware/")}
    headers = {path.relative_to(ROOT).as_posix() for folder in (CORE, PORT) for path in folder.glob("*.h")}
    assert firmware - given() == core_sources() | headers
    assert given() <= names(sdist)


def test_an_sdist_has_our_files_and_no_leftovers(sdist: Path, unpacked: Path) -> None:
    found = {name for name in names(sdist) if ".egg-info/" not in name} - GENERATED
    package = {f"feagi_state/{name}" for name in package_files(".py", ".pyi", ".c", ".h", ".typed")}
    others = {name for name in found - given() if not name.startswith("firmware/")}
    assert others == package | {"LICENSE", "pyproject.toml", "setup.py"}
    for name in found:
        origin = ROOT if name == "LICENSE" or name.startswith("firmware/") or name in given() else HOST
        assert (unpacked / name).read_bytes() == (origin / name).read_bytes(), name


def test_an_sdist_leaves_the_checkout_as_it_was(sdist: Path, checkout: Path) -> None:
    assert {path.name for path in checkout.iterdir()} == {"LICENSE", "boards", "build", "firmware", "host"}
    made = {path.name for path in (checkout / "host").iterdir() if path.name not in {"build", "dist", ".mypy_cache"}}
    assert made == {"LICENSE", "feagi_state", "feagi_state.egg-info", "pyproject.toml", "setup.py", "web"}


def test_an_sdist_of_an_sdist_is_the_same(sdist: Path, unpacked: Path, tmp_path: Path) -> None:
    # Without what the build of a wheel has left beside build/mpy.
    copy = shutil.copytree(unpacked, tmp_path / "copy", ignore=shutil.ignore_patterns("lib.*", "temp.*", "bdist.*"))
    (tmp_path / "out").mkdir()
    assert names(build("sdist", copy, tmp_path / "out")) == names(sdist)


def test_a_wheel_has_the_package_its_types_its_license_and_no_sources(wheel: Path) -> None:
    package = package_files(".py", ".pyi", ".typed")
    found = {name.removeprefix("feagi_state/") for name in names(wheel) if ".dist-info/" not in name}
    assert {"py.typed", "_core.pyi"} <= package
    assert found == package | {"_core.abi3.so"} | {f"_files/{name}" for name in given()}
    assert in_wheel(wheel, "licenses/LICENSE") == (ROOT / "LICENSE").read_text()
    assert "\nLicense-Expression: Apache-2.0\n" in in_wheel(wheel, "METADATA")
    # What only pages and recordings need is asked for by name.
    for extra, package in (("http", "websockets"), ("record", "mcap"), ("parquet", "pyarrow")):
        assert re.search(rf'\nRequires-Dist: {package}[<>=].*; extra == "{extra}"\n', in_wheel(wheel, "METADATA"))
    assert "\nLicense-File: LICENSE\n" in in_wheel(wheel, "METADATA")


def test_a_wheel_is_for_every_cpython_from_3_11_on(wheel: Path) -> None:
    tag = f"cp311-abi3-{sysconfig.get_platform().replace('-', '_').replace('.', '_')}"
    assert wheel.name.endswith(f"-{tag}.whl")
    assert f"\nTag: {tag}\n" in in_wheel(wheel, "WHEEL")


def assert_works(wheel: Path, folder: Path) -> str:
    """Installs the wheel into the folder and uses it from there; answers which _core was loaded."""
    done = run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", folder, wheel, cwd=folder.parent)
    assert done.returncode == 0, done.stderr
    done = run(sys.executable, "-c", EXAMPLE, cwd=folder.parent, PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stderr
    path, _, same = done.stdout.strip().rpartition(" ")
    assert Path(path).parent == folder / "feagi_state" and same == "True"
    done = run(folder / "bin" / "feagi-state", "boards", "--json", cwd=folder.parent, PYTHONPATH=str(folder))
    assert done.returncode == 0, done.stderr
    boards = {json.loads(line)["board"] for line in done.stdout.splitlines()}
    assert {"unix", "NUCLEO_F446RE", "ESP32_GENERIC_C3"} <= boards
    assert not any(board.startswith("qemu_") for board in boards)
    done = run(sys.executable, "-c", FOR_BROWSERS, cwd=folder.parent, PYTHONPATH=str(folder))
    assert (done.returncode, done.stdout) == (0, "text/javascript; charset=utf-8\n"), done.stderr
    return Path(path).name


def test_the_wheel_of_an_sdist_works(wheel: Path, tmp_path: Path) -> None:
    assert assert_works(wheel, tmp_path / "installed") == "_core.abi3.so"


def test_a_board_is_installed_on_from_a_wheel(wheel: Path, tmp_path: Path) -> None:
    """No checkout is near: module, program and description come with the package."""
    folder = tmp_path / "installed"
    done = run(sys.executable, "-m", "pip", "install", "--no-deps", "--target", folder, wheel, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    cli, environment = folder / "bin" / "feagi-state", {"PYTHONPATH": str(folder), "FEAGI_STATE_DIR": str(tmp_path / "state")}
    command = [cli, "start", "unix", "--empty", "--json"]
    board = subprocess.Popen(command, cwd=tmp_path, env={**os.environ, **environment}, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        assert board.stdout is not None and board.stdout.readline()
        done = run(cli, "install", "unix", "--json", cwd=tmp_path, **environment)
    finally:
        board.terminate()
        board.communicate(timeout=10)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["module"], report["files"]) == ("x64", ["feagi_files.mpy", "feagi_state.mpy", "feagi_demo.py", "main.py"])


def test_pip_builds_the_same_wheel_from_a_checkout(checkout: Path, wheel: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = (sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "-w", out, "./host")
    made = built(out, run(*command, cwd=checkout))
    assert made.name == wheel.name
    assert names(made) == names(wheel)
    for name in ("METADATA", "licenses/LICENSE"):
        assert in_wheel(made, name) == in_wheel(wheel, name)
    assert assert_works(made, tmp_path / "installed") == "_core.abi3.so"


def test_without_the_global_lock_a_wheel_is_for_its_own_cpython(unpacked: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(unpacked, tmp_path / "copy", ignore=shutil.ignore_patterns("build"))
    out = tmp_path / "out"
    done = run(sys.executable, "-c", FREE_THREADED, out, cwd=copy)
    assert "-DPy_LIMITED_API" not in done.stdout
    made = built(out, done)
    assert "-abi3-" not in made.name
    assert assert_works(made, tmp_path / "installed") == f"_core{sysconfig.get_config_var('EXT_SUFFIX')}"


def test_a_build_without_the_core_says_what_is_missing(checkout: Path, tmp_path: Path) -> None:
    alone = shutil.copytree(checkout / "host", tmp_path / "alone" / "host")
    done = run(sys.executable, "-m", "build", "--wheel", "--no-isolation", alone, cwd=tmp_path)
    assert done.returncode != 0
    assert "there is no C core in firmware/ or ../firmware/" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr
