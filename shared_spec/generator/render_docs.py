"""LAYOUT.md: the layout for human readers."""

from __future__ import annotations

from .model import Spec


def layout(spec: Spec, banner: list[str]) -> str:
    out = [f"<!-- {' '.join(banner)} -->", "# The region's layout", ""]
    out += [f"Layout version {spec.layout_version}, schema hash `0x{spec.schema_hash:08x}`, protocol version {spec.protocol_version}. Little-endian throughout.", ""]
    out += ["## Profiles", "", "| profile | bytes | agents | metadata an agent | events | pages |", "|---|---|---|---|---|---|"]
    for n, p in spec.profiles.items():
        out.append(f"| `{n}` | {spec.region_len(n)} | {p['agents']} | {p['agent_metadata_len']} B | {p['events']} | {len(spec.pages(n))} |")
    out += ["", "## Sections", "", f"| section | number | {' | '.join(f'offset in `{n}`' for n in spec.profiles)} | entry |", "|---" * (3 + len(spec.profiles)) + "|"]
    for i, s in enumerate(spec.sections_raw):
        offsets = " | ".join(str(spec.sections(n)[i].offset) for n in spec.profiles)
        out.append(f"| `{s['name']}` | {s['number']} | {offsets} | `{s['entry']}`{' behind one `' + s['head'] + '`' if 'head' in s else ''} |")
    for s in spec.structs.values():
        out += ["", f"## {s.name} ({s.size} bytes)", "", s.doc, "", "| offset | field | type | unit, values | |", "|---|---|---|---|---|"]
        for f in s.fields:
            out.append(f"| {f.offset} | `{f.name}` | {f.type} | {f.enum or f.unit}{f', at most {f.clamp}' if f.clamp else ''} | {f.doc} |")
        if s.pages:
            out += ["", f"Pages start at {', '.join(map(str, s.pages))}."]
    out += ["", "## Enums", ""]
    for n, e in spec.enums.items():
        out += [f"* **{n}**: {e['doc']} {', '.join(f'{k} {v}' for k, v in e['values'].items())}"]
    out += ["", "## Errors", "", "| status | C | Python | |", "|---|---|---|---|"]
    out += [f"| -{e['number']} | `FEAGI_ERR_{k}` | `{e['python']}` | {e['text']} |" for k, e in spec.errors.items()]
    out += ["", "## Frames", "", "Payloads are in [frames.cddl](frames.cddl), the session's rules in [LINK.md](LINK.md).", "", "| kind | frame | from |", "|---|---|---|"]
    out += [f"| 0x{f['kind']:02x} | `{k}` | {f['from']} |" for k, f in spec.frames.items()]
    return "\n".join([*out, ""])
