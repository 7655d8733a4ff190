"""A recording as tables: CSV or Parquet, one file a topic.

Every row begins with `log_time`, when the host saw it, and `device_time`, when it was on the device. Where a message
has a list, as of agents, each entry is a row, and an empty list one row with nothing behind the times.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Final, Protocol

from .errors import InvalidValue, PersistenceError
from .recording import Recording, RecordingMessage
from .recording_format import EXPORTED, TOPICS, Column, Topic, needs_package

__all__ = ["export"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=timezone.utc)
_TIMES: Final = ("log_time", "device_time")
_ROWS: Final = 10_000  # of a row group


class _Table(Protocol):
    """A file that rows are added to."""

    def add(self, times_ns: tuple[int, int], values: dict[str, Any]) -> None:
        """Adds a row."""

    def close(self) -> None:
        """Ends the file."""


def export(recording: Recording, folder: str | os.PathLike[str], kind: str, overwrite: bool) -> list[str]:
    """Writes `state.csv` and so on into a folder, which is made if need be; a topic without messages gets no file.

    `kind`: "csv", or "parquet", which needs the package pyarrow (`pip install "feagi-state[parquet]"`). Returns the
    files' paths. Raises PersistenceError, also for a file that is there and may not be overwritten; InvalidValue.
    """
    if kind not in _KINDS:
        raise InvalidValue(f"{kind!r} is no kind of export: it should be one of {', '.join(_KINDS)}")
    make = _KINDS[kind]()
    target = Path(folder)
    try:
        os.makedirs(target, exist_ok=True)
        paths = {topic: target / f"{topic}.{kind}" for topic in EXPORTED}
        there = [str(path) for path in paths.values() if path.exists()]
        if there and not overwrite:
            raise PersistenceError(f"{there[0]} is there already: export into another folder, or overwrite it")
        with ExitStack() as stack:
            tables: dict[str, _Table] = {}
            for message in recording:
                topic = TOPICS[message.topic]
                if message.topic not in paths:
                    continue
                if message.topic not in tables:
                    table = tables[message.topic] = make(paths[message.topic], (*topic.columns, *topic.row_columns))
                    stack.callback(table.close)
                for row in _rows(topic, message):
                    tables[message.topic].add((message.log_time_ns, message.device_time_ns), row)
    except OSError as error:
        raise PersistenceError(f"{error.filename or target} cannot be written: {error.strerror or error}") from None
    return [str(paths[topic]) for topic in tables]


def _rows(topic: Topic, message: RecordingMessage) -> Iterator[dict[str, Any]]:
    if not topic.rows:
        yield message.value
        return
    common = {name: value for name, value in message.value.items() if name != topic.rows}
    for row in message.value.get(topic.rows) or [{}]:
        yield {**common, **row}


class _Csv:
    """Texts that spreadsheets and pandas read: times as ISO 8601, what there is none of as an empty one."""

    def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
        self._file = path.open("w", encoding="utf-8", newline="")
        self._names = [column.name for column in columns]
        self._csv = csv.writer(self._file)
        self._csv.writerow((*_TIMES, *self._names))

    def add(self, times_ns: tuple[int, int], values: dict[str, Any]) -> None:
        """Adds a row."""
        row = (_cell(values.get(name, "")) for name in self._names)
        self._csv.writerow((*map(_iso, times_ns), *row))

    def close(self) -> None:
        """Ends the file."""
        self._file.close()


def _cell(value: Any) -> Any:
    return str(value).lower() if isinstance(value, bool) else value


def _iso(time_ns: int) -> str:
    with suppress(OverflowError):
        return (_EPOCH + timedelta(microseconds=time_ns // 1000)).isoformat(timespec="microseconds")
    return ""


def _csv_tables() -> Callable[[Path, tuple[Column, ...]], _Table]:
    return _Csv


def _parquet_tables() -> Callable[[Path, tuple[Column, ...]], _Table]:
    """Raises PersistenceError where the package is not there."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ModuleNotFoundError:
        raise needs_package("pyarrow", "parquet") from None
    kinds = {
        **{name: getattr(pyarrow, f"uint{name[1:]}")() for name in ("u8", "u16", "u32", "u64")},
        "i64": pyarrow.int64(),
        "f32": pyarrow.float32(),
        "bool": pyarrow.bool_(),
        "text": pyarrow.string(),
    }
    time = pyarrow.timestamp("us", tz="UTC")

    class Parquet:
        """Columns of their types; no value where there is none."""

        def __init__(self, path: Path, columns: tuple[Column, ...]) -> None:
            self._schema = pyarrow.schema(
                [
                    *(pyarrow.field(name, time) for name in _TIMES),
                    *(pyarrow.field(c.name, kinds[c.type], metadata={"description": c.doc}) for c in columns),
                ]
            )
            self._writer = parquet.ParquetWriter(path, self._schema, compression="zstd")
            self._rows: list[dict[str, Any]] = []

        def add(self, times_ns: tuple[int, int], values: dict[str, Any]) -> None:
            """Adds a row."""
            times = (time_ns // 1000 for time_ns in times_ns)
            self._rows.append({**dict(zip(_TIMES, times)), **values})
            if len(self._rows) == _ROWS:
                self._write()

        def close(self) -> None:
            """Ends the file."""
            if self._rows:
                self._write()
            self._writer.close()

        def _write(self) -> None:
            self._writer.write_table(pyarrow.Table.from_pylist(self._rows, schema=self._schema))
            self._rows.clear()

    return Parquet


_KINDS: Final = {"csv": _csv_tables, "parquet": _parquet_tables}
