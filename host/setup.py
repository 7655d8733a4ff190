"""Builds the C extension over the core. Puts the core into source distributions, and what boards and browsers are given
into these and into wheels. The rest is in pyproject.toml.

In a checkout all of that lies outside of this folder; an sdist carries what is needed of it, in the same places.
Paths are relative to this folder, where every build frontend runs this file.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py
from setuptools.command.sdist import sdist

# Sources of the core that the extension is made of, without their suffix: the one place that lists them.
CORE = (
    "feagi_agents",
    "feagi_areas",
    "feagi_crc",
    "feagi_events",
    "feagi_image",
    "feagi_locks",
    "feagi_mirror",
    "feagi_region",
    "feagi_shared",
    "feagi_spec",
    "feagi_state",
    "feagi_stats",
    "feagi_table",
    "feagi_text",
    "feagi_windows",
)
# The extension's own sources, beside the package.
EXTENSION = ("_core.c", "_fields.c", "_process.c", "_sections.c", "_shared.c", "_core.h", "_shared.h")
# From 3.11 on one build serves every later CPython; before, the stable interface has no buffers. CPython without its
# global lock has no stable interface.
STABLE = sys.version_info >= (3, 11) and not sysconfig.get_config_var("Py_GIL_DISABLED")


def top() -> Path:
    """The folder that holds firmware/ and LICENSE: this one in an sdist, its parent in a checkout.

    Raises SystemExit where neither does.
    """
    for folder in (Path(), Path("..")):
        if (folder / "firmware" / "core" / "feagi_spec.h").is_file():
            return folder
    raise SystemExit(
        "feagi-state: there is no C core in firmware/ or ../firmware/. Build from a whole checkout or from an sdist; "
        "from a checkout it needs pip 21.3 or later, since older ones build in a copy of this folder alone."
    )


def add_license() -> None:
    """Copies a checkout's LICENSE to beside this file, where git ignores it: setuptools takes none from outside of this
    folder, and symbolic links do not survive every system.
    """
    text = (TOP / "LICENSE").read_bytes()
    copy = Path("LICENSE")
    if not copy.is_file() or copy.read_bytes() != text:
        # Renamed into place, so that another build at the same time never finds half of it.
        new = Path(f"LICENSE.{os.getpid()}~")
        new.write_bytes(text)
        new.replace(copy)


TOP = top()
SOURCES = [TOP / "firmware" / "core" / f"{name}.c" for name in CORE]
HEADERS = sorted((TOP / "firmware").glob("core/*.h")) + sorted((TOP / "firmware").glob("port/*.h"))
# What `feagi-state install` puts on boards, where `make natmod` has made it, and how boards are described. Not those in
# QEMU: what they need besides is built in a checkout.
FOR_BOARDS = (
    *(path for path in sorted((TOP / "boards").glob("*/board.toml")) if not path.parent.name.startswith("qemu_")),
    *(path for path in sorted((TOP / "boards").glob("*/main.py")) if not path.parent.name.startswith("qemu_")),
    *sorted((TOP / "firmware" / "python").glob("*.py")),
    *sorted((TOP / "build" / "mpy").glob("*/*.mpy")),
)
# What `feagi-state serve --http` gives browsers: the npm package, where `make wasm` has made its modules, and the page.
WEB = TOP / "host" / "web"
FOR_BROWSERS = (
    *sorted(WEB.glob("*.js")),
    *(path for folder in ("page", "src", "wasm") for path in sorted((WEB / folder).rglob("*")) if path.is_file()),
)
FILES = (*FOR_BOARDS, *FOR_BROWSERS)


class BuildCore(build_ext):
    """Compiles sources outside of this folder: setuptools wants relative ones, but puts objects of `../` outside of
    its build folder.
    """

    def build_extension(self, ext: Extension) -> None:
        """Compiles `ext`."""
        relative = ext.sources
        ext.sources = [os.path.abspath(source) for source in relative]
        try:
            super().build_extension(ext)
        finally:
            ext.sources = relative

    def get_source_files(self) -> list[str]:
        """What setuptools puts into an sdist. Not the core: it would put a file of `../` outside of the sdist."""
        core = {*SOURCES, *HEADERS}
        named = (source for ext in self.extensions for source in (*ext.sources, *ext.depends))
        return [source for source in named if Path(source) not in core]


class BuildPackage(build_py):
    """Puts what boards and browsers are given into the package, in the places that it has in a checkout."""

    def run(self) -> None:
        """Builds the package."""
        super().run()
        for source, target in self._given():
            self.mkpath(os.path.dirname(target))
            self.copy_file(source, target)

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        """All files that are made."""
        return [*super().get_outputs(include_bytecode), *(target for _, target in self._given())]

    def _given(self) -> list[tuple[str, str]]:
        """(source, target); none for an editable installation, which uses the checkout."""
        if self.editable_mode:
            return []
        folder = Path(self.build_lib) / "feagi_state" / "_files"
        return [(str(path), str(folder / path.relative_to(TOP))) for path in FILES]


class SourceDistribution(sdist):
    """Takes along what the extension needs of the core, and what boards and browsers are given."""

    def make_release_tree(self, base_dir: str, files: list[str]) -> None:
        """Makes `base_dir`, the sdist's folder, of `files`, the core and what boards and browsers are given."""
        super().make_release_tree(base_dir, files)
        for path in (*SOURCES, *HEADERS, *FILES):
            target = Path(base_dir) / path.relative_to(TOP)
            self.mkpath(str(target.parent))
            self.copy_file(str(path), str(target))


add_license()
flags = ["-std=c11", "-O2", "-fvisibility=hidden"]
if os.environ.get("FEAGI_WERROR") == "1":
    flags += ["-Wall", "-Wextra", "-Werror"]
macros = [("FEAGI_PORT_SHARED", "1"), ("_GNU_SOURCE", "1")]
if STABLE:
    macros.append(("Py_LIMITED_API", "0x030B0000"))

core = Extension(
    "feagi_state._core",
    sources=[*(f"feagi_state/{name}" for name in EXTENSION if name.endswith(".c")), *map(str, SOURCES)],
    depends=[*map(str, HEADERS), *(f"feagi_state/{name}" for name in EXTENSION if name.endswith(".h"))],
    include_dirs=[os.path.abspath(TOP / "firmware" / folder) for folder in ("core", "port")],
    define_macros=macros,
    py_limited_api=STABLE,
    extra_compile_args=flags,
)

setup(
    ext_modules=[core],
    cmdclass={"build_ext": BuildCore, "build_py": BuildPackage, "sdist": SourceDistribution},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
)
