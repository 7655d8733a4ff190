"""What the MicroPython module has of the spec: names of attributes for its half in C, and a part of _feagi_state.py."""

from __future__ import annotations

import re

from .model import Spec, Struct
from .render_c import TABLES

BOARD_ENUMS = ("BurstEngineState", "GenomeState", "ConnectomeState", "ServiceState", "AgentType", "EventKind")
# Errors that the module's calls have, and exceptions of these that Python has already.
BOARD_ERRORS = ("NOT_FOUND", "EXISTS", "FULL", "RANGE", "FIELD", "READ_ONLY", "OPERATION", "ENCODING", "NOT_OWNER")
PYTHON_ERRORS = ("ValueError", "TypeError", "AttributeError")
STRUCT_CODES = {"u8": "B", "bool": "B", "u16": "H", "u32": "I", "f32": "f", "u64": "Q"}


def names(spec: Spec, banner: list[str]) -> str:
    attributes = [*(f.name for f in spec.core_fields), *spec.hash_attributes, "boot_id", "unix_time"]
    out = [f"// {line}" for line in banner]
    out += ["#ifndef FEAGI_NAMES_H", "#define FEAGI_NAMES_H", "", "#if MICROPY_ENABLE_DYNRUNTIME"]
    out += ['#include "py/dynruntime.h"', "#else", '#include "py/runtime.h"', "#endif", '#include "feagi_spec.h"', ""]
    out += ["// Attributes of a state: the core fields in the order of feagi_fields, then the hashes, then what the header has."]
    out += ["#define FEAGI_NAMES_HASHES FEAGI_FIELDS", f"#define FEAGI_NAMES_BOOT_ID {len(attributes) - 2}u"]
    out += [f"#define FEAGI_NAMES_UNIX_TIME {len(attributes) - 1}u", f"#define FEAGI_NAMES {len(attributes)}u"]
    rows = ", \\\n    ".join(f"MP_QSTR_{name}" for name in attributes)
    return "\n".join([*out, f"#define FEAGI_NAMES_QSTRS \\\n    {rows}", "", "#endif", ""])


def _format(struct: Struct) -> str:
    """For the module struct."""
    codes = []
    for f in struct.fields:
        base, _, count = f.type.partition("[")
        codes.append(f"{count[:-1]}s" if base == "bytes" else STRUCT_CODES[base])
    return f'"<{"".join(codes)}"'


def _part(spec: Spec) -> list[str]:
    out = ["class StateError(Exception):", "    pass"]
    errors = [spec.errors[name] for name in BOARD_ERRORS]
    for kind in dict.fromkeys(e["python"] for e in errors):
        if kind not in PYTHON_ERRORS:
            out += ["", "", f"class {kind}(StateError):", "    pass"]
    for name in BOARD_ENUMS:
        out += ["", "", f"class {name}:"] + [f"    {k} = {v}" for k, v in spec.enums[name]["values"].items()]
    out += ["", "", "_ERRORS = {"]
    out += [f'    -{e["number"]}: ({e["python"]}, "%r: {e["text"]}"),' for e in errors]
    out += ["}", f"_LENGTH = -{spec.errors['LENGTH']['number']}"]
    out += ["_PROFILES = {" + ", ".join(f'"{name}": {p["id"]}' for name, p in spec.profiles.items()) + "}"]
    sections_at = next(f.offset for f in spec.structs["header"].fields if f.name == "sections")
    out += [f"_SECTIONS_AT = {sections_at}", f"_SECTION = {_format(spec.structs['section'])}"]
    for s in spec.sections_raw:
        if s["name"] in TABLES[:-1]:
            head = spec.structs[s["head"]].size if "head" in s else 0
            out.append(f"_{s['name'].upper()} = ({s['number']}, {head}, {_format(spec.structs[s['entry']])})")
    return out


def module(spec: Spec, banner: list[str], text: str) -> str:
    """_feagi_state.py with its generated part as the spec has it."""
    part = "\n".join([*(f"# {line}" for line in banner), "", "", *_part(spec), ""])
    done, count = re.subn(r"(^# ---- Generated\n)(.*?)(?=^# ---- End of what is generated$)", lambda m: m[1] + part, text, flags=re.MULTILINE | re.DOTALL)
    assert count == 1, "_feagi_state.py has one generated part"
    return done
