"""For the environment that has zcbor: `judge_payloads.py FRAMES.CDDL` reads lines of a rule and a payload in hex, and prints the
lines that the rule does not have, with zcbor's reason, and last how many there were.
"""

import sys

from zcbor import CddlValidationError, DataTranslator

with open(sys.argv[1]) as cddl:
    # 256: the most that `+` stands for.
    rules = DataTranslator.from_cddl(cddl.read(), 256).my_types
lines = sys.stdin.read().splitlines()
for line in lines:
    rule, *payload = line.split()
    try:
        # A sequence has no head: it is the content of an array.
        rules[rule].validate_str(b"\x9f" + bytes.fromhex("".join(payload)) + b"\xff")
    except CddlValidationError as error:
        print(line, " ".join(str(error).split()))
print(len(lines), "judged")
