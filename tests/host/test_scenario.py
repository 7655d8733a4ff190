"""The golden vectors of regions, which the C core and MicroPython run as well, on the host's StateManager."""

from __future__ import annotations

import pytest
from golden import Scenario, scenarios

from common import VECTORS

SCENARIOS = list(scenarios(VECTORS))


@pytest.mark.parametrize("lines", [lines for _, lines in SCENARIOS], ids=[name for name, _ in SCENARIOS])
def test_the_state_manager_does_as_the_golden_vectors_say(lines: list[tuple[int, list[str]]]) -> None:
    (_, first), *rest = lines
    scenario = Scenario(first[1], int(first[2]))
    assert sum(scenario.line(words) for _, words in rest) > 0
