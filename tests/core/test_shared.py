"""Shared regions in C: threads, processes that are killed, every interleaving and every death that small programs can have."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from common import CORE, ROOT, SANITIZERS

HERE = ROOT / "tests" / "core"
SHARED = ["-D_GNU_SOURCE", "-DFEAGI_PORT_SHARED=1"]
STEPS = [*SHARED, "-include", str(HERE / "shared_steps.h")]
# The sanitizer does not know the one fence; what it orders is a store that others read with acquire order.
THREAD_SANITIZER = ["-fsanitize=thread", "-g", "-Wno-tsan"]


def passes(program: Path, *args: object) -> str:
    done = subprocess.run([program, *map(str, args)], capture_output=True, text=True, timeout=150)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.fixture(scope="module")
def crash(compile_core) -> Path:
    return compile_core(HERE / "shared_crash.c", *STEPS)


@pytest.fixture(scope="module")
def history(compile_core) -> Path:
    return compile_core(HERE / "shared_history.c", *STEPS)


@pytest.mark.parametrize("what", ["crash", "large", "pairs", "flight", "readers"])
def test_every_death_and_every_interruption_leaves_what_some_order_leaves(crash: Path, what: str) -> None:
    checks = int(re.match(r"\d+", passes(crash, what))[0])
    assert checks > 1000


@pytest.mark.parametrize("program", ["registry", "listing", "locks", "groups", "windows", "stats"])
def test_histories_are_linearizable(history: Path, program: str) -> None:
    passes(history, program, 20000, 1)


@pytest.mark.parametrize("sanitizers", [THREAD_SANITIZER, SANITIZERS], ids=["thread", "address"])
def test_threads_do_everything_at_once(compile_core, sanitizers: list[str]) -> None:
    passes(compile_core(HERE / "shared_threads.c", *SHARED, "-pthread", *sanitizers), 20000, 1)


def test_hostile_memory_leads_nobody_outside_of_it(compile_core) -> None:
    passes(compile_core(HERE / "shared_hostile.c", *SHARED, *SANITIZERS), 20000, 1)


@pytest.mark.slow
def test_three_thousand_killed_writers(compile_core, tmp_path: Path) -> None:
    passes(compile_core(HERE / "shared_kill.c", *SHARED), tmp_path / "region", 3000, 1)


@dataclass
class Mutation:
    """A fault in the core, and the test that has to find it."""

    file: str
    changes: dict[str, str]
    program: str
    args: tuple[object, ...]


MUTATIONS = {
    "nobody-locks": Mutation("feagi_shared.c", {"!feagi_port_cas_u64(&t->lock, 0, *share->self)": "false"}, "shared_history", ("listing", 20000, 1)),
    "one-copy-and-no-stamp": Mutation(
        "feagi_shared.c",
        {"#define COPIES 3u": "#define COPIES 1u", "read_stamp(r, &after);": "after = before;"},
        "shared_history",
        ("groups", 20000, 1),
    ),
    "the-gate-stays-open": Mutation(
        "feagi_shared.c", {"store_u32(&r->share->trailer->gate, 1)": "store_u32(&r->share->trailer->gate, 0)"}, "shared_history", ("groups", 20000, 1)
    ),
    "locked-by-two": Mutation(
        "feagi_write.h",
        {"const bool done = feagi_write_cas(r, offset, 8, from, to)": "const bool done = (feagi_write_word(r, offset, 8, to), from != to)"},
        "shared_history",
        ("locks", 20000, 1),
    ),
    "the-dead-are-not-helped": Mutation("feagi_shared.c", {"make_for_the_dead(r, count, feagi_port_load_u32(&t->done));": ";"}, "shared_crash", ("crash",)),
    "sums-are-made-twice": Mutation("feagi_shared.c", {"make_sum(r, &in, i, &c, i == from)": "make_sum(r, &in, i, &c, false)"}, "shared_crash", ("crash",)),
    "what-came-before-a-sum-is-made-again": Mutation("feagi_shared.c", {"feagi_port_store_u32(&t->done, index); //": "//"}, "shared_crash", ("crash",)),
    "counted-when-it-is-done-with": Mutation("feagi_shared.c", {"    feagi_write_count_core(r); // how many": "    // how many"}, "shared_crash", ("crash",)),
    "snapshots-without-what-is-committed": Mutation(
        "feagi_shared.c", {"    overlay(r, &in, changes, before.done, known);": "    (void)in, (void)overlay;"}, "shared_crash", ("crash",)
    ),
    "a-sum-is-taken-for-not-made": Mutation("feagi_shared.c", {"feagi_port_store_u32(&entry->known, 1);": ";"}, "shared_crash", ("readers",)),
    "the-sum-is-read-before-it-is-known": Mutation(
        "feagi_shared.c",
        {
            "    c->known = feagi_port_load_u32(&entry->known) == 1; //": "    c->sum = load(&entry->sum); //",
            "    c->sum = load(&entry->sum);\n": "    c->known = feagi_port_load_u32(&entry->known) == 1;\n",
        },
        "shared_crash",
        ("readers",),
    ),
    "the-number-of-an-event-comes-last": Mutation(
        "feagi_shared.c",
        {
            "put_at(in, own, at, 8, (c->where + 1) | c->value >> 32 << 32);": "put_at(in, own, at + 8, 8, (uint32_t)c->value | c->more << 32);",
            "put_at(in, own, at + 8, 8, (uint32_t)c->value | c->more << 32);": "put_at(in, own, at, 8, (c->where + 1) | c->value >> 32 << 32);",
        },
        "shared_crash",
        ("readers",),
    ),
    "half-of-an-agent-is-restored": Mutation("feagi_shared.c", {"if (load(word_at(r->base, at)) != first) {": "if (false) {"}, "shared_crash", ("readers",)),
    "counts-are-reset-with-the-gate-open": Mutation("feagi_stats.c", {"feagi_write_keep_out(r);  ": ""}, "shared_crash", ("crash",)),
    "counts-are-changed-with-the-gate-open": Mutation("feagi_stats.c", {"feagi_write_keep_out(r);\n": "\n"}, "shared_crash", ("crash",)),
    "a-window-in-another-area's-slot": Mutation("feagi_windows.c", {"feagi_areas_is(r, at, area) && ": ""}, "shared_crash", ("flight",)),
}


def mutated(text: str, changes: dict[str, str]) -> str:
    """The text with each of these replaced, all at once; each is there once."""
    assert all(text.count(old) == 1 for old in changes), [old for old in changes if text.count(old) != 1]
    return re.sub("|".join(map(re.escape, changes)), lambda found: changes[found[0]], text)


@pytest.mark.slow
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_fault_is_found(compile_core, tmp_path: Path, name: str) -> None:
    mutation = MUTATIONS[name]
    core = tmp_path / "core"
    shutil.copytree(CORE, core)
    file = core / mutation.file
    file.write_text(mutated(file.read_text(), mutation.changes))
    program = compile_core(HERE / f"{mutation.program}.c", *STEPS, "-Wno-unused", "-O0", core=core)
    done = subprocess.run([program, *map(str, mutation.args)], capture_output=True, text=True, timeout=150)
    assert done.returncode == 1 and "FAILED" in done.stdout, done.stdout[-2000:]
