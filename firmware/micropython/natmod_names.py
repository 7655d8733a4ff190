"""Numbers the names of a native module in the order in which they appear in its sources:

    natmod_names.py CONFIG SOURCE...

CONFIG is what mpy_ld.py --preprocess has written, where they are numbered by the alphabet. In the sources' order, a run of names is a
table that the module finds in the linker's own (FEAGI_NAME).
"""

import re
import sys
from pathlib import Path


def main(config: Path, sources: list[Path]) -> None:
    found = dict.fromkeys(name for file in sources for name in re.findall(r"\bMP_QSTR_\w+", file.read_text()))
    lines = config.read_text().splitlines()
    ours = re.compile(rf"#define ({'|'.join(found)}) ")
    others = [line for line in lines if not ours.match(line)]
    where = next(n for n, line in enumerate(others) if line.startswith("extern"))
    others[where:where] = [f"#define {name} (mp_native_qstr_table[{n}])" for n, name in enumerate(found, 1)]
    config.write_text("\n".join([*others, ""]))


main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
