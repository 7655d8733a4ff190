"""Builds the C extension over the core in ../firmware. Everything else is in pyproject.toml."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

FIRMWARE = Path("..") / "firmware"
CORE = ("feagi_spec", "feagi_crc", "feagi_region", "feagi_mirror", "feagi_events", "feagi_shared", "feagi_state", "feagi_agents",
        "feagi_areas", "feagi_hashes", "feagi_locks", "feagi_stats", "feagi_text", "feagi_windows")
# From 3.11 on one build serves every later CPython; before, the stable interface has no buffers.
STABLE = sys.version_info >= (3, 11)


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


flags = ["-std=c11", "-O2", "-fvisibility=hidden", "-DFEAGI_PORT_SHARED=1"]
if os.environ.get("FEAGI_WERROR") == "1":
    flags += ["-Wall", "-Wextra", "-Werror"]

core = Extension(
    "feagi_state._core",
    sources=["feagi_state/_core.c", *(str(FIRMWARE / "core" / f"{name}.c") for name in CORE)],
    include_dirs=[os.path.abspath(FIRMWARE / "core"), os.path.abspath(FIRMWARE / "port")],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if STABLE else [],
    py_limited_api=STABLE,
    extra_compile_args=flags,
)

setup(
    ext_modules=[core],
    cmdclass={"build_ext": BuildCore},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if STABLE else {},
)
