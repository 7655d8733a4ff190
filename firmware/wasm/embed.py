"""Writes embedded.js, which has both WebAssembly modules in it, compressed together since they are much alike:

    embed.py INITIAL MAXIMUM FOLDER

INITIAL and MAXIMUM are the shared memory's size [pages of 64 KiB].
"""

import base64
import gzip
import sys
from pathlib import Path

initial, maximum, folder = sys.argv[1:]
out = Path(folder)
lines = ["// Made by firmware/wasm/embed.py of the modules beside it."]
single, threaded = ((out / file).read_bytes() for file in ("feagi_state.wasm", "feagi_state_threaded.wasm"))
packed = base64.b64encode(gzip.compress(single + threaded, mtime=0)).decode()
lines.append(f'export const packed = "{packed}"; // base64 of gzip of the module for one thread and the one for several behind it')
lines.append(f"export const singleLength = {len(single)}; // bytes of the former")
lines.append(f"export const threadedMemory = {{ initial: {int(initial)}, maximum: {int(maximum)}, shared: true }};")
(out / "embedded.js").write_text("\n".join(lines) + "\n", encoding="utf-8")
