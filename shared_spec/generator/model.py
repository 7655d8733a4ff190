"""Reads spec.toml and frames.cddl, refuses what is inconsistent, and derives sizes, pages and the schema hash."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomllib

SCALARS = {"u8": 1, "bool": 1, "u16": 2, "u32": 4, "f32": 4, "u64": 8}
REGION_STRUCTS = ("section", "header", "core", "hashes", "agent", "lock", "windows", "window", "stat", "ring", "event")


class SpecError(Exception):
    """The description contradicts itself; the message names the line's subject."""


def snake(name: str) -> str:
    """BurstEngineState -> burst_engine_state."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


@dataclass(frozen=True)
class Field:
    name: str
    offset: int
    type: str
    size: int
    doc: str
    unit: str = ""
    enum: str = ""
    access: str = ""
    event: str = ""
    clamp: int = 0


@dataclass(frozen=True)
class Struct:
    name: str
    size: int
    doc: str
    fields: tuple[Field, ...]
    pages: tuple[int, ...] = ()


@dataclass(frozen=True)
class Section:
    """Where a section lies in one profile's region."""

    name: str
    number: int
    offset: int
    capacity: int
    entry_len: int
    head_len: int
    paged: str


@dataclass(frozen=True)
class Item:
    """One item of a frame's payload. type: U uint below 2^(8*hi), I int, B bytes and T text of lo..hi bytes,
    V an int or 0..64 bytes."""

    label: str
    type: str
    lo: int = 0
    hi: int = 0


@dataclass(frozen=True)
class Shape:
    """Payload of a frame: `items`, of which the first `required` must be there, then `group` repeated
    `least` to `most` times (most 0: no limit but the frame's)."""

    items: tuple[Item, ...]
    required: int
    group: tuple[Item, ...]
    least: int
    most: int


class Spec:
    def __init__(self, folder: Path) -> None:
        raw = tomllib.loads((folder / "spec.toml").read_text(encoding="utf-8"))
        self.layout_version: int = raw["layout_version"]
        self.protocol_version: int = raw["protocol_version"]
        self.limits: dict[str, int] = raw["limits"]
        self.times: dict[str, int] = raw["times"]
        self.magic = {k: int.from_bytes(v.encode("ascii"), "little") for k, v in raw["magic"].items()}
        self.enums: dict[str, dict[str, Any]] = raw["enums"]
        self.errors: dict[str, dict[str, Any]] = raw["errors"]
        self.profiles: dict[str, dict[str, Any]] = raw["profiles"]
        self.frames: dict[str, dict[str, Any]] = raw["frames"]
        self.sections_raw: list[dict[str, Any]] = raw["sections"]
        # Versions of what only hosts see.
        self.versions = {name: s["version"] for name, s in raw["structs"].items() if "version" in s}
        self.structs = {name: self._struct(name, s) for name, s in raw["structs"].items()}
        self.shapes = parse_cddl((folder / "frames.cddl").read_text(encoding="utf-8"))
        self._check()
        self.schema_hash = zlib.crc32(self.canonical().encode("utf-8"))
        # None of its bytes is a control character: each hello has it, and may come to a prompt, which would obey a Ctrl-C.
        while min(self.schema_hash.to_bytes(4, "little")) < 0x20:
            self.schema_hash = zlib.crc32(self.schema_hash.to_bytes(4, "little"))

    def _struct(self, name: str, raw: dict[str, Any]) -> Struct:
        fields = []
        end = 0
        for f in raw["fields"]:
            match = re.fullmatch(r"(\w+)\[(\d+)\]", f["type"])
            if match:
                base, count = match[1], int(match[2])
                unit_len = 1 if base == "bytes" else 8 if base == "section" else 0
                size = unit_len * count
            else:
                size = unit_len = SCALARS.get(f["type"], 0)
            if not size:
                raise SpecError(f"{name}.{f['name']}: unknown type {f['type']!r}")
            if f["offset"] != end:
                raise SpecError(f"{name}.{f['name']}: offset {f['offset']}, but the field before it ends at {end}")
            if f["offset"] % (8 if unit_len == 8 else unit_len):
                raise SpecError(f"{name}.{f['name']}: offset {f['offset']} is not aligned to {unit_len}")
            end = f["offset"] + size
            fields.append(Field(size=size, **f))
        if end != raw["size"]:
            raise SpecError(f"{name}: size {raw['size']}, but its fields end at {end}")
        return Struct(name, raw["size"], raw["doc"], tuple(fields), tuple(raw.get("pages", ())))

    def _check(self) -> None:
        for struct in self.structs.values():
            for f in struct.fields:
                if f.enum and f.enum not in self.enums:
                    raise SpecError(f"{struct.name}.{f.name}: no enum {f.enum!r}")
                if f.event and f.event not in self.enums["EventKind"]["values"]:
                    raise SpecError(f"{struct.name}.{f.name}: no event kind {f.event!r}")
        if set(self.frames) != {name.replace("-", "_") for name in self.shapes}:
            raise SpecError("spec.toml [frames] and frames.cddl do not name the same frames")
        for name, p in self.profiles.items():
            if p["events"] & (p["events"] - 1):
                raise SpecError(f"profile {name}: events {p['events']} is not a power of two")
            for s in self.sections(name):
                if s.paged == "block" and (s.head_len % s.entry_len or self.limits["page_len_bytes"] % s.entry_len):
                    raise SpecError(f"section {s.name}: an entry of {s.entry_len} bytes would lie on two pages")
            if (self.structs["agent"].size + p["agent_metadata_len"]) % 8:
                raise SpecError(f"profile {name}: an agent's length must be a multiple of 8")

    # ------------------------------------------------------------------------------------------ derived

    @property
    def core_fields(self) -> list[Field]:
        """The core block's fields that hold a value."""
        return [f for f in self.structs["core"].fields if not f.type.startswith("bytes")]

    @property
    def hash_fields(self) -> list[Field]:
        """The hashes."""
        return [f for f in self.structs["hashes"].fields if f.type == "u64"]

    @property
    def hash_attributes(self) -> dict[str, Field]:
        """The hashes as attributes of a state, beside the core block's fields."""
        return {f"{f.name}_hash": f for f in self.hash_fields}

    def maximum(self, f: Field) -> int:
        """Largest value that a field takes."""
        if f.enum:
            return max(self.enums[f.enum]["values"].values())
        return 1 if f.type == "bool" else f.clamp or 256**f.size - 1

    def sections(self, profile: str) -> list[Section]:
        p = self.profiles[profile]
        align = self.limits["section_align_bytes"]
        offset = self.limits["header_len_bytes"]
        out = []
        for s in self.sections_raw:
            entry_len = self.structs[s["entry"]].size
            if s["name"] == "agents":
                entry_len += p["agent_metadata_len"]
            capacity = p.get(s["name"], 1)
            head = self.structs[s["head"]].size if "head" in s else 0
            out.append(Section(s["name"], s["number"], offset, capacity, entry_len, head, s["pages"]))
            offset += -(-(head + capacity * entry_len) // align) * align
        return out

    def region_len(self, profile: str) -> int:
        last = self.sections(profile)[-1]
        return last.offset + last.head_len + last.capacity * last.entry_len

    def pages(self, profile: str) -> list[tuple[int, int]]:
        """(offset in the region, length) of every page, in order."""
        most = self.limits["page_len_bytes"]
        out = [(0, self.limits["header_len_bytes"])]
        for s in self.sections(profile):
            if s.paged == "struct":
                struct = self.structs["core"]
                ends = [*struct.pages[1:], struct.size]
                out += [(s.offset + a, b - a) for a, b in zip(struct.pages, ends)]
            elif s.paged in ("entry", "block"):
                step = s.entry_len if s.paged == "entry" else s.head_len + s.capacity * s.entry_len
                for i in range(s.capacity if s.paged == "entry" else 1):
                    out += [(s.offset + i * step + at, min(most, step - at)) for at in range(0, step, most)]
        return out

    def canonical(self) -> str:
        """The text whose CRC-32 is the schema hash: what a reader of a region must agree on."""
        lines = [f"layout {self.layout_version}"]
        used = {"EventKind"}
        for name in REGION_STRUCTS:
            struct = self.structs[name]
            lines.append(f"struct {name} {struct.size} {' '.join(map(str, struct.pages))}".rstrip())
            for f in struct.fields:
                lines.append(f"{name}.{f.name} {f.offset} {f.type} {f.enum}".rstrip())
                used |= {f.enum} - {""}
        for enum in sorted(used):
            lines += [f"{enum}.{k} {v}" for k, v in self.enums[enum]["values"].items()]
        for s in self.sections_raw:
            lines.append(f"section {s['number']} {s['name']} {s.get('head', '-')} {s['entry']} {s['pages']}")
        return "\n".join(lines) + "\n"


# ------------------------------------------------------------------------------------------------- CDDL

_ITEM = re.compile(
    r"(?:([\w-]+):\s*)?(?:uint \.size (\d)|(bstr|tstr) \.size \((\d+)\.\.(\d+)\)|(int)|(value))"
)


def parse_cddl(text: str) -> dict[str, Shape]:
    """The shapes of frames.cddl. Knows exactly the forms that occur there."""
    shapes = {}
    for line in text.splitlines():
        line = line.split(";")[0].strip()
        if not line or line.startswith("value "):
            continue
        match = re.fullmatch(r"([\w-]+)\s*=\s*\[(.*)\]", line)
        if not match:
            raise SpecError(f"frames.cddl: not understood: {line}")
        shapes[match[1]] = _shape(match[1], match[2])
    return shapes


def _item(name: str, text: str) -> Item:
    match = _ITEM.fullmatch(text.strip())
    if not match:
        raise SpecError(f"frames.cddl: {name}: item not understood: {text!r}")
    label, size, string, lo, hi, integer, _value = match.groups()
    if size:
        return Item(label, "U", 0, int(size))
    if string:
        return Item(label, "B" if string == "bstr" else "T", int(lo), int(hi))
    return Item(label or "value", "I" if integer else "V", 0, 0 if integer else 64)


def _shape(name: str, body: str) -> Shape:
    group: tuple[Item, ...] = ()
    least = most = 0
    repeated = re.search(r"(?:\+\((.*)\)|(\d)\*(\d) (value))$", body)
    if repeated:
        body = body[: repeated.start()].rstrip().rstrip(",")
        if repeated[1]:
            group, least = tuple(_item(name, part) for part in repeated[1].split(", ")), 1
        else:
            group, least, most = (_item(name, "value"),), int(repeated[2]), int(repeated[3])
    items: list[Item] = []
    required = 0
    for part in filter(None, (p.strip() for p in body.split(","))):
        optional = part.startswith("?")
        if optional and group:
            raise SpecError(f"frames.cddl: {name}: an optional item before a repeated one is ambiguous")
        items.append(_item(name, part.lstrip("? ")))
        required += not optional
        if not optional and required != len(items):
            raise SpecError(f"frames.cddl: {name}: a required item after an optional one")
    return Shape(tuple(items), required, group, least, most)
