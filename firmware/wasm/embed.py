"""Writes embedded.js, which has both WebAssembly modules in it, compressed:  embed.py INITIAL MAXIMUM FOLDER

INITIAL and MAXIMUM are the shared memory's size [pages of 64 KiB].
"""

import base64
import gzip
import sys
from pathlib import Path

initial, maximum, folder = sys.argv[1:]
out = Path(folder)
lines = ["// Made by firmware/wasm/embed.py of the modules beside it."]
for name, file in (("single", "feagi_state.wasm"), ("threaded", "feagi_state_threaded.wasm")):
    packed = gzip.compress((out / file).read_bytes(), mtime=0)
    lines.append(f'export const {name} = "{base64.b64encode(packed).decode()}";')
lines.append(f"export const threadedMemory = {{ initial: {int(initial)}, maximum: {int(maximum)}, shared: true }};")
(out / "embedded.js").write_text("\n".join(lines) + "\n", encoding="utf-8")
