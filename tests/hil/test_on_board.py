"""The module on a board: what it computes, what it allocates, what interrupts and soft resets do to it."""

from __future__ import annotations

import ast
import re

import pytest
from board_scripts import SCRIPTS, assert_all_passed, program_of

import feagi_state
from boards_by_cli import until
from common import ROOT
from feagi_state.prompt import Prompt, PromptError
from on_bench import Bench, mpremote

STATE = "import feagi_state; s = feagi_state.StateManager.instance(); "
STOP = 123456789


@pytest.mark.parametrize("script", SCRIPTS)
def test_conformance(with_module: Bench, script: str) -> None:
    """The golden vectors, which every port of the core passes, and what the module adds to the core."""
    assert_all_passed(script, with_module.run_check(program_of(script, "/remote", 61)), may_skip="host")


def test_hot_calls_allocate_nothing(with_module: Bench) -> None:
    said = with_module.run_check(
        "import check_module as c; c.hot_calls_allocate_nothing(); print('locked', c.heap_lock is not None, 'checks', c.checks, c.failed)"
    )
    assert re.search(r"^locked True checks [1-9]\d* 0", said, re.MULTILINE), said


def test_a_timer_produces_while_the_program_does(with_module: Bench) -> None:
    if "True" not in with_module.run("import machine; print(hasattr(machine, 'Timer'))"):
        pytest.skip("this MicroPython has no timers")
    said = with_module.run_check("import check_producers as c; c.run(2500)")
    counts = {name: int(number) for name, number in re.findall(r"(\w+) (-?\d+)", said)}
    faults = ("disorder", "torn", "missing", "uncounted", "unadded", "unversioned")
    assert {fault: counts[fault] for fault in faults} == dict.fromkeys(faults, 0)
    assert counts["rounds"] >= 2500 and counts["lost"] > 0, counts
    if with_module.board is not None and with_module.board.emulated:
        assert counts["hard"], "an emulated board calls inside of the interrupt"


def test_the_stub_names_what_the_module_has(with_module: Bench) -> None:
    stub = ast.parse((ROOT / "firmware" / "micropython" / "feagi_state.pyi").read_text())
    module = {n.name for n in stub.body if isinstance(n, (ast.FunctionDef, ast.ClassDef))} - {"AgentInfo"}
    fields = ast.parse((ROOT / "firmware" / "micropython" / "_feagi_fields.pyi").read_text())
    module |= {n.name for n in fields.body if isinstance(n, ast.ClassDef)} - {"CoreFields"}

    def public(what: str) -> set[str]:
        return set(ast.literal_eval(with_module.run(f"import feagi_state; print([n for n in dir({what}) if not n.startswith('_')])")))

    assert public("feagi_state") == module
    for name in ("StateManager", "Link"):
        methods = next(n for n in stub.body if isinstance(n, ast.ClassDef) and n.name == name)
        assert public(f"feagi_state.{name}") == {n.name for n in methods.body if isinstance(n, ast.FunctionDef)} - {"__init__"}


# ---------------------------------------------------------------------------------------------------- soft resets


def test_a_soft_reset_is_the_end_of_the_state(with_module: Bench) -> None:
    said = []
    for _ in range(2):
        with_module.soft_reset()
        said.append(
            with_module.run("import feagi_state as f; s = f.StateManager.instance(); s.register_agent('cam'); print(s.get_agents(), s.boot_id)")
        )
    assert all(text.count("AgentInfo(agent_id='cam'") == 1 for text in said), said
    assert said[0].split()[-1] != said[1].split()[-1]


def test_soft_resets_leave_nothing_behind(with_module: Bench) -> None:
    """While a timer polls a link and the program is in a call of the module: the next program has all of the memory again."""
    code = """
import gc, io
gc.collect(); print("free", gc.mem_free())
import feagi_state as f
s = f.StateManager.instance(); link = f.Link(io.BytesIO(), s); s.register_agent("cam")
work = lambda timer: (s.add("neuron_count", 1), link.poll())
try:
    from machine import Timer
    timer = Timer(-1); timer.init(period=1, mode=Timer.PERIODIC, callback=work)
except ImportError:
    timer = None
while s.neuron_count < 20:
    s.heartbeat("cam")
    if timer is None: work(None)
print("counted", s.neuron_count >= 20)
"""
    said = []
    for _ in range(3):
        with_module.soft_reset()
        said.append(with_module.run(code))
    free = [int(re.search(r"free (\d+)", text)[1]) for text in said]
    assert len(set(free)) == 1, free
    assert all("counted True" in text for text in said), said


def test_a_program_may_empty_sys_modules(with_module: Bench) -> None:
    """As tools that load a program again do: what the module needs of Python outlives it."""
    with_module.soft_reset()
    said = with_module.run("""
import gc, sys
import feagi_state as f
s = f.StateManager("tiny"); s.register_agent("cam")
sys.modules.clear(); gc.collect()
filled = [bytearray(b"\\xaa" * 32) for _ in range(500)]
try:
    s.get_agent("no such")
except f.AgentNotFound as error:
    print(error)
print(s.add("neuron_count", 5), [a.agent_id for a in s.get_agents()], f.BurstEngineState.RUNNING)
""")
    assert said.splitlines() == ["'no such': no agent has this id", "5 ['cam'] 3"]


# ------------------------------------------------------------------------------------------------ on a single port


def test_prompt_and_link_take_turns_on_one_port(with_module: Bench) -> None:
    """A program that has the port gives it back when the PC says so, and the state goes on."""
    with_module.soft_reset()
    serve = f"""
import sys, time
{STATE}
s.synapse_capacity = 0  # also where the last program was ended before it came to its end
link = feagi_state.Link(sys.stdin.buffer, s, "turns", sys.stdout.buffer)
s.memory_usage += 1
while s.synapse_capacity != {STOP}:
    link.poll(); time.sleep_ms(1)
for _ in range(200):  # the answer
    link.poll(); time.sleep_ms(1)
"""
    for turn in (1, 2):
        mpremote(with_module.prompt_port, "resume", "exec", "--no-follow", serve)
        with feagi_state.connect(with_module.prompt_port, timeout_s=20) as device:
            assert (device.link.device_name, device.state.memory_usage) == ("turns", turn)
            device.set("neuron_count", 100 + turn)
            device.set("synapse_capacity", STOP)
        until(lambda: has_prompt(with_module.prompt_port), 30, "the prompt")
        assert with_module.run(STATE + "print(s.neuron_count)").strip() == str(100 + turn)


def has_prompt(port: str) -> bool:
    try:
        with Prompt(port) as prompt:
            prompt.interrupt()
            return True
    except PromptError:
        return False
