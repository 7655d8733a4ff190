"""The C core's header and tables, and the MicroPython module's names."""

from __future__ import annotations

from .model import Field, Item, Shape, Spec, Struct, snake

C_TYPES = {"u8": "uint8_t", "bool": "uint8_t", "u16": "uint16_t", "u32": "uint32_t", "f32": "uint32_t", "u64": "uint64_t"}
# Sections that a profile gives a size, in their order.
TABLES = ("agents", "cortical_locks", "fcl_windows", "area_stats", "events")
FIELD_TYPES = ("u8", "bool", "u32", "f32", "u64")


def _number(n: int) -> str:
    return f"{n}u" if n < 1 << 31 else f"0x{n:08x}u"


def _struct(s: Struct, spec: Spec) -> list[str]:
    out = [f"// {s.doc}", "typedef struct {"]
    for f in s.fields:
        base, _, count = f.type.partition("[")
        ctype = {"bytes": "uint8_t", "section": "feagi_section_t"}.get(base) or C_TYPES[base]
        unit = f" [{f.unit}]" if f.unit else f" [{f.enum}]" if f.enum else " [Hz as f32 bits]" if f.type == "f32" else ""
        out.append(f"    {ctype} {f.name}{'[' + count if count else ''}; // {f.offset}: {f.doc}{unit}")
    name = f"feagi_{s.name}_t"
    # Without an alignment, packed members of u64 would be allowed to tear; with it, each is one aligned access.
    out.append(f"}} {name};")
    out.append(f'_Static_assert(sizeof({name}) == {s.size}, "{s.name}: size");')
    out += [f'_Static_assert(offsetof({name}, {f.name}) == {f.offset}, "{s.name}.{f.name}: offset");' for f in s.fields]
    return [*out, ""]


def header(spec: Spec, banner: list[str]) -> str:
    out = [f"// {line}" for line in banner]
    out += ["#ifndef FEAGI_SPEC_H", "#define FEAGI_SPEC_H", "", "#include <stddef.h>", "#include <stdint.h>", ""]
    out += [
        f"#define FEAGI_LAYOUT_VERSION {spec.layout_version}u",
        f"#define FEAGI_PROTOCOL_VERSION {spec.protocol_version}u",
        *(f"#define FEAGI_{name.upper()}_VERSION {version}u" for name, version in spec.versions.items()),
        f"#define FEAGI_SCHEMA_HASH 0x{spec.schema_hash:08x}u",
    ]
    out += [f"#define FEAGI_MAGIC_{k.upper()} 0x{v:08x}u" for k, v in spec.magic.items()]
    out += [f"#define FEAGI_{k.upper()} {_number(v)}" for k, v in {**spec.limits, **spec.times}.items()]
    out.append("")
    for name, enum in spec.enums.items():
        prefix = f"FEAGI_{snake(name).upper()}"
        out += [f"// {enum['doc']}", "enum {"]
        out += [f"    {prefix}_{k} = {v}," for k, v in enum["values"].items()]
        out += ["};", ""]
    out += ["// Errors: functions return them; a reply carries them as status.", "enum {"]
    out += [f"    FEAGI_ERR_{k} = -{e['number']}, // {e['text']}" for k, e in spec.errors.items()]
    out += ["};", "", "// Frame kinds.", "enum {"]
    out += [f"    FEAGI_KIND_{k.upper()} = 0x{f['kind']:02x}, // from {f['from']}" for k, f in spec.frames.items()]
    out += ["};", "", "// Slots of the header's section table.", "enum {"]
    out += [f"    FEAGI_SECTION_{s['name'].upper()} = {s['number']}," for s in spec.sections_raw]
    out += ["};", ""]
    for s in spec.structs.values():
        out += _struct(s, spec)
    core = spec.structs["core"]
    _, hashes, agents, *_ = spec.sections("tiny")
    header_len = spec.limits["header_len_bytes"]
    first_pages = [0, *(header_len + p for p in core.pages), hashes.offset, agents.offset]
    out += [
        f"#define FEAGI_HASHES_AT {spec.sections('tiny')[1].offset}u // of the hashes section in any profile's region",
        f"#define FEAGI_FIRST_PAGES {len(first_pages) - 1}u // pages of header, core block and hashes, which begin at these offsets in any region",
        f"#define FEAGI_FIRST_PAGE_OFFSETS {{{', '.join(f'{p}u' for p in first_pages)}}}",
        f"#define FEAGI_CLOCK_PAGE {1 + _page_of(core, 'version')}u // page of the region that holds version and last_modified",
        "",
        f"#define FEAGI_TABLES {len(TABLES)}u // sections of a size that the profile gives: those from FEAGI_SECTION_{TABLES[0].upper()} on",
        "// A profile's capacities.",
        "typedef struct {",
        f"    uint16_t capacities[FEAGI_TABLES]; // {', '.join(TABLES)}",
        "    uint16_t agent_metadata_len_bytes;",
        "} feagi_profile_t;",
        f"#define FEAGI_PROFILES {len(spec.profiles)}u",
        "extern const feagi_profile_t feagi_profiles[FEAGI_PROFILES]; // of id 1, 2, ...",
    ]
    for name, p in spec.profiles.items():
        out.append(f"#define FEAGI_PROFILE_{name.upper()} {p['id']}u // {p['doc']}: {p['agents']} agents, {p['events']} events")
        out.append(f"#define FEAGI_REGION_LEN_{name.upper()} {spec.region_len(name)}u")
        if len(spec.pages(name)) <= spec.limits["link_pages"]:
            events_at = spec.sections(name)[-1].offset
            out.append(f"#define FEAGI_DIRTY_WORDS_{name.upper()} {events_at // 128 + 2}u // that tracking its changes takes")
    out += [
        "",
        "// One field of the core block that holds a value.",
        "typedef struct {",
        "    uint8_t offset;    // in the core block; also the field's name in a command",
        "    uint8_t limit;     // largest value of a u8 or bool",
        "    uint8_t type : 3;  // FEAGI_TYPE_*",
        "    uint8_t flags : 2; // FEAGI_FIELD_*",
        "    uint8_t event : 3; // kind that a change emits, or 0",
        "} feagi_field_t;",
        "enum {",
    ]
    out += [f"    FEAGI_TYPE_{t.upper()} = {i}," for i, t in enumerate(FIELD_TYPES)]
    out += [
        "};",
        "#define FEAGI_FIELD_WRITABLE 1u // by the application and by commands; the others are kept by the core",
        "#define FEAGI_FIELD_CLAMPED 2u  // a larger value is stored as `limit` instead of refused",
        f"#define FEAGI_FIELDS {len(spec.core_fields)}u",
        "extern const feagi_field_t feagi_fields[FEAGI_FIELDS];",
        "// Index of a field in feagi_fields.",
        "enum {",
    ]
    out += [f"    FEAGI_FIELD_{f.name.upper()} = {i}," for i, f in enumerate(spec.core_fields)]
    out += [
        "};",
        "",
        "// Names of attributes, in builds for hosts (feagi_port.h): the core fields, then the hashes.",
        f"#define FEAGI_ATTRIBUTES (FEAGI_FIELDS + {len(spec.hash_fields)}u)",
        "extern const char *const feagi_attribute_names[FEAGI_ATTRIBUTES];",
        "",
        "// What an item of a payload may be: bit m of `majors` says that it may have major type m; its length is that of a string, or",
        "// the bytes behind a number's head.",
        "typedef struct {",
        "    uint8_t majors, least, most;",
        "} feagi_item_t;",
        "extern const feagi_item_t feagi_items[];",
        "",
        "// Shapes of the payloads, one after the other: the kind, then a byte an item, its index in feagi_items, and at last",
        "// FEAGI_SHAPE_END. Ends with kind 0.",
        "#define FEAGI_SHAPE_MAY_END 0x80u // on an item: the payload may end in front of it",
        "#define FEAGI_SHAPE_END 0xc0u     // plus n: the payload ends or goes on with the n-th item before this",
        "extern const uint8_t feagi_shapes[];",
        "",
        "#endif",
        "",
    ]
    return "\n".join(out)


def _page_of(core: Struct, field: str) -> int:
    offset = next(f.offset for f in core.fields if f.name == field)
    return max(i for i, start in enumerate(core.pages) if start <= offset)


def _field_row(f: Field, spec: Spec) -> str:
    flags = ["FEAGI_FIELD_WRITABLE"] if f.access == "rw" else []
    flags += ["FEAGI_FIELD_CLAMPED"] if f.clamp else []
    event = f"FEAGI_EVENT_KIND_{f.event}" if f.event else "0"
    limit = spec.maximum(f) if f.size == 1 else 0
    return f"    {{{f.offset}, {limit}, FEAGI_TYPE_{f.type.upper()}, {' | '.join(flags) or '0'}, {event}}}, // {f.name}"


MAJORS = {"U": 0b0001, "I": 0b0011, "B": 0b0100, "T": 0b1000, "V": 0b0111}


def _item_kinds(spec: Spec) -> list[tuple[str, int, int]]:
    """The kinds of item that occur: (type, lo, hi)."""
    items = [i for shape in spec.shapes.values() for i in (*shape.items, *shape.group)]
    return list(dict.fromkeys((i.type, i.lo, i.hi) for i in items))


def _item_name(kind: tuple[str, int, int]) -> str:
    item, _, most = kind
    return "ITEM_" + {"U": f"U{8 * most}", "I": "INT", "B": f"BYTES_{most}", "T": f"TEXT_{most}", "V": "VALUE"}[item]


def _item_row(kind: tuple[str, int, int]) -> str:
    item, least, most = kind
    return f"    [{_item_name(kind)}] = {{{MAJORS[item]}, {least}, {8 if item == 'I' else most}}},"


def _shape_row(name: str, shape: Shape) -> str:
    def byte(item: Item, may_end: bool) -> str:
        name = _item_name((item.type, item.lo, item.hi))
        return f"OR_END({name})" if may_end else name

    row = [f"FEAGI_KIND_{name.replace('-', '_').upper()}"]
    row += [byte(item, n >= shape.required) for n, item in enumerate(shape.items)]
    for n in range(shape.most or shape.least):
        row += [byte(item, n >= shape.least and k == 0) for k, item in enumerate(shape.group)]
    again = shape.group and not shape.most
    assert not again or shape.least, "a group may be there any number of times, but once at least"
    return f"    {', '.join(row)}, FEAGI_SHAPE_END{f' + {len(shape.group)}' if again else ''},"


def tables(spec: Spec, banner: list[str]) -> str:
    out = [f"// {line}" for line in banner]
    out += ['#include "feagi_spec.h"', "", "const feagi_profile_t feagi_profiles[FEAGI_PROFILES] = {"]
    for number, (name, p) in enumerate(spec.profiles.items(), 1):
        assert p["id"] == number, f"profile {name} should have id {number}"
        capacities = ", ".join(str(p[c]) for c in TABLES)
        out.append(f"    {{{{{capacities}}}, {p['agent_metadata_len']}}}, // {name}")
    out += ["};", "", "const feagi_field_t feagi_fields[FEAGI_FIELDS] = {"]
    out += [_field_row(f, spec) for f in spec.core_fields]
    out += ["};", "", "#if defined(FEAGI_PORT_SHARED) && FEAGI_PORT_SHARED", "const char *const feagi_attribute_names[FEAGI_ATTRIBUTES] = {"]
    out += [f'    "{name}",' for name in (*(f.name for f in spec.core_fields), *spec.hash_attributes)]
    out += ["};", "#endif", "", "enum {"]
    kinds = _item_kinds(spec)
    out += [f"    {_item_name(kind)}," for kind in kinds]
    out += ["};", "", "const feagi_item_t feagi_items[] = {"]
    out += [_item_row(kind) for kind in kinds]
    out += ["};", "", "#define OR_END(item) (FEAGI_SHAPE_MAY_END | (item))", "const uint8_t feagi_shapes[] = {"]
    out += [_shape_row(name, shape) for name, shape in spec.shapes.items()]
    out += ["    0,", "};", ""]
    return "\n".join(out)
