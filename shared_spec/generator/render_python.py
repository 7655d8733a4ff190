"""The host package's constants."""

from __future__ import annotations

from typing import Any

from .model import Field, Item, Spec


def _mapping(name: str, kind: str, items: dict[str, Any]) -> list[str]:
    return [f"{name}: Final[dict[{kind}]] = {{", *(f'    "{k}": {v},' for k, v in items.items()), "}", ""]


def _items(items: tuple[Item, ...]) -> str:
    inner = ", ".join(f'Item("{i.label}", "{i.type}", {i.lo}, {i.hi})' for i in items)
    return f"({inner},)" if items else "()"


def module(spec: Spec, banner: list[str]) -> str:
    out = ['"""The layout and the frames as Python constants.', "", *banner, '"""', ""]
    out += [
        "from __future__ import annotations",
        "",
        "from enum import IntEnum",
        "from typing import Final, NamedTuple",
        "",
        f"LAYOUT_VERSION: Final = {spec.layout_version}",
        f"PROTOCOL_VERSION: Final = {spec.protocol_version}",
        *(f"{name.upper()}_VERSION: Final = {version}" for name, version in spec.versions.items()),
        f"SCHEMA_HASH: Final = 0x{spec.schema_hash:08X}",
    ]
    out += [f"{k.upper()}: Final = {v}" for k, v in {**spec.limits, **spec.times}.items()]
    out.append("")
    for name, enum in spec.enums.items():
        out += ["", f"class {name}(IntEnum):", f'    """{enum["doc"]}"""', ""]
        out += [f"    {k} = {v}" for k, v in enum["values"].items()]
        out.append("")
    out += ["", "class Kind(IntEnum):", '    """Frame kinds."""', ""]
    out += [f"    {k.upper()} = 0x{f['kind']:02X}" for k, f in spec.frames.items()]
    # Outside of the class, whose own member `type` would be meant inside.
    out += ["", "", "EnumType = type[IntEnum]", "", "", "class Field(NamedTuple):", '    """One field of a struct."""', ""]
    out += [
        "    offset: int  # bytes from the struct's start; a core field's name in a command",
        "    type: str  # u8, bool, u16, u32, f32, u64 or bytes",
        "    size: int  # bytes",
        "    maximum: int  # largest value that is stored",
        "    writable: bool",
        "    enum: EnumType | None",
        "    unit: str",
        "    doc: str",
        "",
        "",
        "class Item(NamedTuple):",
        '    """One item of a payload. U: below 2^(8*hi); I: int; B, T: lo..hi bytes; V: int or at most hi bytes."""',
        "",
        "    label: str",
        "    type: str",
        "    lo: int",
        "    hi: int",
        "",
        "",
        "class Shape(NamedTuple):",
        '    """A payload: items (the first `required` must be there), then `group` repeated least to most times."""',
        "",
        "    items: tuple[Item, ...]",
        "    required: int",
        "    group: tuple[Item, ...]",
        "    least: int",
        "    most: int  # 0: no limit but the frame's",
        "",
        "",
        "class Profile(NamedTuple):",
        '    """Capacities of a region."""',
        "",
        "    id: int",
        "    agents: int",
        "    agent_metadata_len: int",
        "    events: int",
        "    region_len: int",
        "",
        "",
    ]
    for struct in ("header", "core", "hashes", "agent", "lock", "windows", "window", "stat", "mirror", "shared", "image"):
        rows = {}
        for f in spec.structs[struct].fields:
            if f.name.startswith("reserved"):
                continue
            ftype = "bytes" if "[" in f.type else f.type
            maximum = spec.maximum(f) if ftype != "bytes" else 0
            rows[f.name] = (
                f'Field({f.offset}, "{ftype}", {f.size}, {maximum}, {f.access == "rw"}, {f.enum or None}, "{f.unit}", "{f.doc}")'
                if '"' not in f.doc
                else f'Field({f.offset}, "{ftype}", {f.size}, {maximum}, {f.access == "rw"}, {f.enum or None}, "{f.unit}", {f.doc!r})'
            )
        out += _mapping(f"{struct.upper()}_FIELDS", "str, Field", rows)
        if f"{struct}_len_bytes" not in spec.limits:
            out += [f"{struct.upper()}_LEN_BYTES: Final = {spec.structs[struct].size}", ""]
    out += ["# The hashes as attributes of a state, by the name of the attribute."]
    out += _mapping("HASH_ATTRIBUTES", "str, Field", {name: f'HASHES_FIELDS["{f.name}"]' for name, f in spec.hash_attributes.items()})
    sections = {s["name"]: s["number"] for s in spec.sections_raw}
    out += _mapping("SECTIONS", "str, int", sections)
    profiles = {
        n: f"Profile({p['id']}, {p['agents']}, {p['agent_metadata_len']}, {p['events']}, {spec.region_len(n)})"
        for n, p in spec.profiles.items()
    }
    out += _mapping("PROFILES", "str, Profile", profiles)
    out += ["SHAPES: Final[dict[int, Shape]] = {"]
    out += [
        f"    Kind.{n.replace('-', '_').upper()}: Shape({_items(s.items)}, {s.required}, {_items(s.group)}, {s.least}, {s.most}),"
        for n, s in spec.shapes.items()
    ]
    out += ["}", "", "# number -> (name, exception's name, text); C and replies carry the number negated", "ERRORS: Final[dict[int, tuple[str, str, str]]] = {"]
    out += [f'    {e["number"]}: ("{k}", "{e["python"]}", "{e["text"]}"),' for k, e in spec.errors.items()]
    return "\n".join([*out, "}", ""])


BOARD_TYPES = {"f32": "float", "bool": "bool"}


def board_stub(spec: Spec, banner: list[str], enums: tuple[str, ...]) -> str:
    """The part of the board module's stub that follows from the spec: fields and enums."""
    out = [f"# {line}" for line in banner]
    out += ["", "class CoreFields:", '    """The core block\'s fields as attributes. Reads and writes allocate nothing but floats, and ints of 2^30 or more']
    out += ['    on a 32-bit port."""', ""]
    for f in spec.core_fields:
        kind = BOARD_TYPES.get(f.type, "int")
        about = f"{f.doc}{f' [{f.unit}]' if f.unit else ''}{f' ({f.enum})' if f.enum else ''}"
        if f.access == "rw":
            out += [f"    {f.name}: {kind}", f'    """{about}"""']
        else:
            out += ["    @property", f"    def {f.name}(self) -> {kind}:", f'        """{about}; kept by feagi_state"""']
    for name, f in spec.hash_attributes.items():
        out += [f"    {name}: int", f'    """{f.doc}; no write of the core block"""']
    for name in enums:
        out += ["", f"class {name}:", f'    """{spec.enums[name]["doc"]}"""', ""]
        out += [f"    {k}: int  # {v}" for k, v in spec.enums[name]["values"].items()]
    return "\n".join([*out, ""])


HOST_TYPES = {"f32": "float", "bool": "bool"}
HOST_FIELDS_HEAD = """from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .spec import {enums}

__all__ = ["CoreFields", "CoreValues"]
"""


def host_fields(spec: Spec, banner: list[str]) -> str:
    """The host package's classes of the core block's fields and the hashes: their types, and methods for every counter."""

    def read_only(f: Field, indent: str, name: str = "") -> list[str]:
        unit = f" [{f.unit}]" if f.unit else ""
        return [
            f"{indent}@property",
            f"{indent}def {name or f.name}(self) -> {f.enum or HOST_TYPES.get(f.type, 'int')}:",
            f'{indent}    """{f.doc[0].upper()}{f.doc[1:]}{unit}."""',
        ]

    out = ['"""Fields and hashes as attributes: their types, for type checkers, and two methods for every counter.', "", *banner, '"""', ""]
    enums = sorted({f.enum for f in spec.core_fields if f.enum})
    out += [HOST_FIELDS_HEAD.format(enums=", ".join(enums)), "", "class CoreValues:", '    """All fields and hashes, read-only."""', ""]
    out += ["    __slots__ = ()", "", "    if TYPE_CHECKING:"]
    for f in spec.core_fields:
        out += ["", *read_only(f, " " * 8)]
    for name, f in spec.hash_attributes.items():
        out += ["", *read_only(f, " " * 8, name)]
    out += ["", "", "class CoreFields:", '    """All fields and hashes. Fields that follow from others are read-only; `version` counts no write of a hash.', ""]
    out += ["    Counters are added to and subtracted from in one step that no other thread or process can come between.", '    """', ""]
    out += ["    __slots__ = ()", "", "    if TYPE_CHECKING:"]
    for f in spec.core_fields:
        if f.access == "rw":
            out += [f"        {f.name}: {f.enum or HOST_TYPES.get(f.type, 'int')}  # {f.doc}{f' [{f.unit}]' if f.unit else ''}"]
    out += [f"        {name}: int  # {f.doc}" for name, f in spec.hash_attributes.items()]
    for f in spec.core_fields:
        if f.access != "rw":
            out += ["", *read_only(f, " " * 8)]
    for name in ("add", "subtract"):
        out += ["", f"        def {name}(self, field: str, amount: int, /) -> int:", f'            """{name.capitalize()}s an amount."""']
    for f in spec.core_fields:
        if f.access == "rw" and f.type in ("u32", "u64"):
            unit = f" [{f.unit}]" if f.unit else ""
            for name, bound in (("add", f"its maximum {spec.maximum(f)}"), ("subtract", "0")):
                what = "Adds `amount`" if name == "add" else "Subtracts `amount`"
                where = "to" if name == "add" else "from"
                out += [
                    "",
                    f"    def {name}_{f.name}(self, amount: int = 1) -> int:",
                    f'        """{what}{unit} {where} {f.name}, which stays at {bound}.',
                    "",
                    "        Any thread of any process. Returns the value after it. Raises InvalidValue for what is no amount.",
                    '        """',
                    f'        return self.{name}("{f.name}", amount)',
                ]
    return "\n".join([*out, ""])
