"""The browser package's constants and their types."""

from __future__ import annotations

import json

from .model import Field, Spec

# Structs whose fields JavaScript reads by itself.
STRUCTS = ("header", "core", "hashes", "agent", "ring", "image")
TYPES = {"f32": "number", "bool": "boolean", "u64": "bigint"}


def _frozen(name: str, rows: dict[str, str], about: str = "") -> list[str]:
    out = ["", f"/** {about} */"] if about else [""]
    return [*out, f"export const {name} = Object.freeze({{", *(f"    {key}: {value}," for key, value in rows.items()), "});"]


def _field(spec: Spec, f: Field, index: int, *, is_public: bool) -> str:
    kind = f.type.partition("[")[0]
    if not is_public:  # where it lies is enough
        return f'{{index: {index}, offset: {f.offset}, type: "{kind}"}}'
    maximum = str(spec.maximum(f)) + ("n" if kind == "u64" else "") if kind not in ("bytes", "section") else "0"
    facts = {"index": str(index), "offset": str(f.offset), "type": f'"{kind}"', "size": str(f.size), "maximum": maximum}
    facts["writable"] = "true" if f.access == "rw" else "false"
    facts |= {key: json.dumps(text) for key, text in (("enum", f.enum), ("unit", f.unit), ("doc", f.doc))}
    return "{" + ", ".join(f"{key}: {value}" for key, value in facts.items()) + "}"


def module(spec: Spec, banner: list[str]) -> str:
    """spec.js."""
    out = [f"// {line}" for line in banner]
    numbers = {"LAYOUT_VERSION": spec.layout_version, "PROTOCOL_VERSION": spec.protocol_version}
    numbers |= {f"{name.upper()}_VERSION": version for name, version in spec.versions.items()}
    numbers |= {name.upper(): number for name, number in {**spec.limits, **spec.times}.items()}
    numbers |= {f"MAGIC_{name.upper()}": number for name, number in spec.magic.items()}
    out += ["", f"export const SCHEMA_HASH = 0x{spec.schema_hash:08x};"]
    out += [f"export const {name} = {number};" for name, number in numbers.items()]
    for name, enum in spec.enums.items():
        out += _frozen(name, {key: str(value) for key, value in enum["values"].items()}, enum["doc"])
    out += _frozen("Kind", {name.upper(): f"0x{f['kind']:02x}" for name, f in spec.frames.items()}, "Frame kinds.")
    for name in STRUCTS:
        fields = [f for f in spec.structs[name].fields if not f.name.startswith("reserved")]
        rows = {f.name: _field(spec, f, index, is_public=name == "core") for index, f in enumerate(fields)}
        out += _frozen(f"{name.upper()}_FIELDS", rows, spec.structs[name].doc)
        if f"{name}_len_bytes" not in spec.limits:
            out += [f"export const {name.upper()}_LEN_BYTES = {spec.structs[name].size};"]
    out += _frozen("SECTIONS", {s["name"]: str(s["number"]) for s in spec.sections_raw}, "Slots of the header's section table.")
    out += [f"export const HASHES_AT = {spec.sections('tiny')[1].offset}; // offset of the hashes in any region"]
    profiles = {
        name: f"{{id: {p['id']}, agents: {p['agents']}, agent_metadata_len: {p['agent_metadata_len']}, cortical_locks: {p['cortical_locks']},"
        f" fcl_windows: {p['fcl_windows']}, area_stats: {p['area_stats']}, events: {p['events']}, region_len: {spec.region_len(name)}}}"
        for name, p in spec.profiles.items()
    }
    out += _frozen("PROFILES", profiles, "Capacities of a region.")
    errors = {str(e["number"]): f'["{name}", "{e["python"]}", {json.dumps(e["text"])}]' for name, e in spec.errors.items()}
    out += _frozen("ERRORS", errors, "number -> [name, exception's name, text]; C and replies carry the number negated.")
    return "\n".join([*out, ""])


def types(spec: Spec, banner: list[str]) -> str:
    """spec.d.ts: what index.d.ts makes public of it."""
    out = [f"// {line}" for line in banner]
    for name, enum in spec.enums.items():
        rows = [f"    readonly {key}: {value};" for key, value in enum["values"].items()]
        out += ["", f"/** {enum['doc']} */", f"export const {name}: {{", *rows, "};"]
    fields = {"CoreFields": (spec.core_fields, "The core block's fields."), "HashFields": (spec.hash_fields, spec.structs["hashes"].doc)}
    for interface, (members, about) in fields.items():
        out += ["", f"/** {about} */", f"export interface {interface} {{"]
        for f in members:
            facts = "".join(f" [{fact}]" for fact in (f.unit, f.enum) if fact)
            constant = "" if f.access == "rw" or interface == "HashFields" else "readonly "
            out += [f"    /** {f.doc[0].upper()}{f.doc[1:]}{facts}. */", f"    {constant}{f.name}: {TYPES.get(f.type, 'number')};"]
        out += ["}"]
    counters = " | ".join(f'"{f.name}"' for f in spec.core_fields if f.access == "rw" and f.type in ("u32", "u64"))
    profiles = " | ".join(f'"{name}"' for name in spec.profiles)
    out += ["", "/** Fields that are added to and subtracted from. */", f"export type Counter = {counters};"]
    out += ["", "/** Names of the regions' capacities. */", f"export type Profile = {profiles};"]
    out += ["", "export const SCHEMA_HASH: number;"]
    return "\n".join([*out, ""])
