"""The browser's files: the page, and the npm package that it is made with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from .errors import StateError

__all__ = ["WebFiles", "WebFilesMissing", "web_dir"]

_FOLDERS: Final = ("page", "src", "wasm")
_PAGE: Final = "/page/"
_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/vnd.microsoft.icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".wasm": "application/wasm",
}


class WebFilesMissing(StateError):
    """The browser's files are not there, or not built."""


def web_dir() -> Path:
    """The folder of the package: that of a wheel, or of the checkout that this package is in."""
    package = Path(__file__).resolve().parent
    installed = package / "_files" / "host" / "web"
    return installed if installed.is_dir() else package.parent / "web"


class WebFiles:
    """Files by the path of their URL.

    The paths are listed once, from the folders; what is asked for is only compared with them, and never becomes a path
    of a file. So there is no way out of the folders. Any thread.
    """

    def __init__(self, folder: Path) -> None:
        """`folder`: see `web_dir`. Raises WebFilesMissing."""
        if not (folder / "index.js").is_file():
            raise WebFilesMissing(
                f"there is no web package at {folder}: use a whole checkout of feagi-state, or a wheel"
            )
        if not (folder / "wasm" / "embedded.js").is_file():
            raise WebFilesMissing(f"the WebAssembly modules are missing in {folder / 'wasm'}: `make wasm` builds them")
        self._files = {"/index.js": folder / "index.js"}
        for name in _FOLDERS:
            for path in _files_below(folder / name):
                self._files[f"/{path.relative_to(folder).as_posix()}"] = path
        index = self._files.get(f"{_PAGE}index.html")
        if index is not None:
            self._files[_PAGE] = index

    @property
    def page(self) -> str:
        """The path of the page."""
        return _PAGE

    def read(self, path: str) -> tuple[str, bytes] | None:
        """(media type, content) of the file at this path of a URL, None if there is none. Raises OSError."""
        file = self._files.get(path)
        return None if file is None else (_TYPES[file.suffix], file.read_bytes())


def _files_below(folder: Path) -> list[Path]:
    """All files in it and in its folders that browsers take, but for what symbolic links lead to."""
    if folder.is_symlink():
        return []
    found = [Path(where) / name for where, _, names in os.walk(folder) for name in names]
    return [path for path in sorted(found) if path.suffix in _TYPES and path.is_file() and not path.is_symlink()]
