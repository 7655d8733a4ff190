"""Values as people write and read them, beside the limits that the spec gives."""

from __future__ import annotations

import json
import math
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from feagi_state import fields, spec

WRITABLE = sorted(name for name, field in spec.CORE_FIELDS.items() if field.writable)
ENUMS = [name for name in WRITABLE if spec.CORE_FIELDS[name].enum is not None]
NUMBERS = [name for name in WRITABLE if spec.CORE_FIELDS[name].type in ("u8", "u32", "u64") and name not in ENUMS]


@pytest.mark.parametrize("name", ENUMS)
def test_every_state_is_written_by_name_and_by_number(name):
    for member in spec.CORE_FIELDS[name].enum:
        spelled = member.name.lower().replace("_", "-")
        assert fields.parse_value(name, member.name) == fields.parse_value(name, spelled) == member
        assert fields.parse_value(name, str(int(member))) == member
        assert fields.json_value(name, int(member)) == member.name


@given(st.sampled_from(NUMBERS), st.data())
def test_a_number_comes_back_from_each_way_to_show_it(name, data):
    field = spec.CORE_FIELDS[name]
    value = data.draw(st.integers(0, field.maximum))
    assert fields.parse_value(name, fields.plain_value(name, value)) == value
    assert fields.parse_value(name, hex(value)) == value
    if field.unit != "ms":  # times are shown as times
        assert fields.parse_value(name, fields.format_value(name, value)) == value


@given(st.sampled_from(NUMBERS), st.integers())
def test_a_number_is_taken_exactly_when_it_fits(name, value):
    if 0 <= value <= spec.CORE_FIELDS[name].maximum:
        assert fields.parse_value(name, str(value)) == value
    else:
        with pytest.raises(ValueError, match=name):
            fields.parse_value(name, str(value))


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("fatigue_index", "45%", 45),
        ("fatigue_index", "45 %", 45),
        ("burst_frequency", "25Hz", 25.0),
        ("burst_frequency", "12.5 hz", 12.5),
        ("neuron_count", "1,000,000", 1_000_000),
        ("neuron_count", "5 neurons", 5),
        ("brain_readiness", "yes", True),
        ("brain_readiness", "OFF", False),
    ],
)
def test_units_and_words(name, text, value):
    assert fields.parse_value(name, text) == value


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("burst_engine_state", "running fast", "RUNNING"),
        ("burst_engine_state", "8", "DEEP_SLEEP"),
        ("fatigue_index", "101", "0 to 100"),
        ("neuron_count", "many", "whole number of neurons"),
        ("burst_frequency", "often", "number of Hz"),
        ("brain_readiness", "perhaps", "yes or no"),
        ("version", "1", "kept by the device"),
    ],
)
def test_what_is_wrong_is_said(name, text, says):
    with pytest.raises(ValueError, match=says):
        fields.parse_value(name, text)


def test_an_unknown_field_gets_its_nearest_names():
    with pytest.raises(LookupError, match="did you mean neuron_count"):
        fields.parse_value("neurons_count", "1")


@pytest.mark.parametrize("name", sorted(spec.CORE_FIELDS))
def test_every_value_of_every_field_can_be_shown(name):
    field = spec.CORE_FIELDS[name]
    values = [0.0, 1e9, math.nan, math.inf] if field.type == "f32" else [0, 1, field.maximum, 255]
    for value in values:
        assert "\n" not in fields.format_value(name, value)
        assert json.loads(json.dumps(fields.json_value(name, value), allow_nan=False)) == fields.json_value(name, value)


def test_times_are_of_the_day_or_since_the_start():
    now_ms = int(time.mktime((2024, 2, 29, 12, 34, 56, 0, 0, -1))) * 1000 + 78
    assert fields.format_time(now_ms) == "2024-02-29 12:34:56"
    assert fields.format_event_time(now_ms) == "12:34:56.078"
    assert fields.format_time(3_723_004) == "1:02:03.004 after start"
    assert fields.format_event_time(3_723_004) == "  3723.004 s"
    for absurd in (2**63, 2**64 - 1):
        assert fields.format_time(absurd)
        assert fields.format_event_time(absurd)


@pytest.mark.parametrize(
    ("age_s", "shown"),
    [
        (None, "-"),
        (math.inf, "-"),
        (-0.1, "0 ms"),
        (0.0123, "12 ms"),
        (2.34, "2.3 s"),
        (75, "1 min 15 s"),
        (7300, "2 h 1 min"),
    ],
)
def test_ages(age_s, shown):
    assert fields.format_age(age_s) == shown
