"""Runs on a board: saved states in files and buffers. Prints each failure and a closing count."""

import os

import feagi_state as f

PATH = "saved.fgi"
checks = failed = 0


def check(ok, what):
    global checks, failed
    checks += 1
    if not ok:
        failed += 1
        print("failed:", what)


def refuses(call, argument, says):
    try:
        call(argument)
    except f.PersistenceError as error:
        check(says in str(error), "%r instead of %r" % (error, says))
    else:
        check(False, "no PersistenceError %r" % says)


def remove(*names):
    for name in names:
        try:
            os.remove(name)
        except OSError:
            pass


def write(name, data):
    with open(name, "wb") as file:
        file.write(data)


def fill(state, n):
    """Content that depends on n, in every section."""
    state.burst_engine_state = f.BurstEngineState.PAUSED if n % 2 else f.BurstEngineState.RUNNING
    state.genome_state = f.GenomeState.LOADED
    state.brain_readiness = bool(n % 2)
    state.burst_frequency = 0.5 * n
    state.neuron_count = 2**32 - n
    state.genome_timestamp = 2**64 - n
    state.fatigue_index = n
    state.morphologies_hash = 2**63 + n
    state.agent_data_hash = n
    for agent_id in ("cam", "caf\xe9_%d" % n):
        state.register_agent(agent_id, f.AgentType.MOTOR)
    state.set_fcl_window(7, n)
    state.set_fcl_window(100 + n, 2**32 - 1)
    state.set_fcl_window(None, 30 + n)
    state.init_area_stats("v%d" % n)
    state.set_area_stats("v%d" % n, n, 2, 2**32 - 1)
    state.try_lock(50 + n, 9)


def content(s):
    fields = (s.burst_engine_state, s.genome_state, s.brain_readiness, s.burst_frequency, s.neuron_count, s.genome_timestamp)
    agents = sorted((a.agent_id, a.agent_type, a.metadata) for a in s.get_agents())
    windows = sorted(s.get_fcl_windows().items()), s.get_fcl_window(9)
    stats = []
    for area in ("v1", "v2"):
        try:
            stats.append(s.get_area_stats(area))
        except f.AreaNotFound:
            stats.append(None)
    return fields, s.fatigue_index, s.morphologies_hash, s.agent_data_hash, agents, s.agent_count, windows, stats


def events_of(state):
    events = []
    while True:
        event = state.pop_event()
        if event is None:
            return events
        events.append(event[:2])


def what_was_saved_is_loaded_and_restored():
    for profile in ("tiny", "micro"):
        state, other = f.StateManager(profile, 5), f.StateManager(profile)
        fill(state, 1)
        length = state.save(PATH)
        check(length == os.stat(PATH)[6] == len(state.save()), "length %r" % length)
        loaded = f.StateManager.load(PATH)
        check(content(loaded) == content(state), "loaded %r instead of %r" % (content(loaded), content(state)))
        check(loaded.get_locked_areas() == [] and loaded.boot_id != 5, "a loaded state is a new one")
        fill(other, 2)
        other.init_area_stats("v1")
        cam, version = other.get_agent("cam").handle, other.version
        leaves = other.get_agent("caf\xe9_2").handle
        events_of(other)
        other.restore(PATH)
        check(content(other) == content(state), "restored %r instead of %r" % (content(other), content(state)))
        check(other.get_locked_areas() == [52] and other.version > version, "locks stay and version goes on")
        comes = other.get_agent("caf\xe9_1").handle
        changed = [(f.EventKind.BURST_ENGINE_STATE_CHANGED, f.BurstEngineState.PAUSED)]
        agents = [(f.EventKind.AGENT_DEREGISTERED, leaves), (f.EventKind.AGENT_REGISTERED, comes)]
        check(events_of(other) == changed + agents, "events")
        other.heartbeat(cam)
        check(other.restore(PATH) is None and events_of(other) == [], "a restore of the same changes nothing")
        check(os.listdir().count(PATH + ".new") == 0, "a file is left")


def buffers_hold_a_state():
    state = f.StateManager("tiny")
    fill(state, 1)
    image = state.save()
    check(isinstance(image, bytearray) and image[:4] == b"FGIM", "image")
    memory = bytearray(b"\xff" * (len(image) + 100))
    check(state.save(memory) == len(image) and memory[len(image) :] == b"\xff" * 100, "save to memory")
    for source in (image, bytes(image), memory, memoryview(memory)):
        loaded = f.StateManager.load(source)
        check(content(loaded) == content(state), "load from a buffer")
        loaded.neuron_count = 0
        loaded.restore(source)
        check(content(loaded) == content(state), "restore from a buffer")
    refuses(state.restore, bytes(memory), "something follows")
    refuses(state.restore, memoryview(b"1234" + image)[4:], "multiple of 8")
    refuses(state.restore, bytearray(5), "no saved state")
    refuses(state.restore, b"", "no saved state")
    for call in (lambda: state.save(bytearray(100)), lambda: state.save(bytearray(0))):
        try:
            call()
        except ValueError as error:
            check("100" in str(error) or "0 bytes" in str(error), repr(error))
        else:
            check(False, "a buffer is too short")
    for call, argument in ((state.restore, 5), (state.save, 5), (state.save, bytes(5000)), (f.StateManager.load, None)):
        try:
            call(argument)
        except TypeError:
            check(True, "")
        else:
            check(False, "%r was taken" % argument)


def damage_is_noticed(every):
    state = f.StateManager("tiny")
    fill(state, 1)
    image = state.save()
    before = state.digest()
    noticed = 0
    places = range(0, 8 * len(image), every)
    for place in places:
        image[place // 8] ^= 1 << place % 8
        try:
            state.restore(image)
        except f.PersistenceError:
            noticed += 1
        image[place // 8] ^= 1 << place % 8
    check(noticed == len(places), "%d of %d flipped bits were noticed" % (noticed, len(places)))
    noticed = 0
    lengths = range(0, len(image), max(1, every // 8))
    for length in lengths:
        try:
            state.restore(bytes(image[:length]))
        except f.PersistenceError:
            noticed += 1
    check(noticed == len(lengths), "%d of %d truncations were noticed" % (noticed, len(lengths)))
    check(state.digest() == before, "an image that was refused changed the state")
    state.restore(image)


def files_that_are_none_are_refused():
    state = f.StateManager("tiny")
    before = state.digest()
    for call in (state.restore, f.StateManager.load):
        refuses(call, "absent", "absent cannot be read")
        write(PATH, b"hello, this is a text file and long enough to hold a head")
        refuses(call, PATH, "saved.fgi is no saved state")
        write(PATH, b"")
        refuses(call, PATH, "saved.fgi is no saved state")
        write(PATH, bytes(state))
        refuses(call, PATH, "saved.fgi is no saved state")
        write(PATH, bytes(state.save()) + b"\0")
        refuses(call, PATH, "something follows")
    f.StateManager("micro").save(PATH)
    refuses(state.restore, PATH, "another profile")
    check(state.digest() == before, "a file that was refused changed the state")
    refuses(state.save, "absent/saved", "absent/saved cannot be saved")


class NoPower(Exception):
    """The board is off: nothing that comes after it happens."""


def a_loss_of_power_leaves_the_old_or_the_new_state():
    import feagi_files

    def fail(*args):
        raise NoPower

    class Os:
        """As os, with a loss of power when the file gets its name."""

        rename = fail

    old, new = f.StateManager("tiny"), f.StateManager("tiny")
    fill(old, 1)
    fill(new, 2)
    remove(PATH)
    for is_there in (False, True):
        if is_there:
            old.save(PATH)
        feagi_files.os = Os
        try:
            new.save(PATH)
        except NoPower:
            pass
        else:
            check(False, "the file was not renamed")
        feagi_files.os = os
        right = old if is_there else new  # without an old one, the new one that was complete
        check(content(f.StateManager.load(PATH)) == content(right), "power lost before the renaming")
    # FAT removes the old name first.
    os.remove(PATH)
    check(content(f.StateManager.load(PATH)) == content(new), "power lost in the renaming")
    # While the new file was written: it is not whole.
    old.save(PATH)
    whole = bytes(new.save())
    for length in range(0, len(whole), 100):
        write(PATH + ".new", whole[:length])
        check(content(f.StateManager.load(PATH)) == content(old), "power lost after %d bytes" % length)
    new.save(PATH)
    check(content(f.StateManager.load(PATH)) == content(new), "the next save")
    check(os.listdir().count(PATH + ".new") == 0, "a file is left")


def a_full_disk_leaves_the_old_state():
    if not hasattr(os, "statvfs") or os.statvfs("/")[0] * os.statvfs("/")[2] > 4000000:
        return  # of a PC
    state = f.StateManager("tiny")
    fill(state, 1)
    state.save(PATH)
    before = content(state)
    chunk = bytes(4096)
    try:
        with open("filler", "wb") as filler:
            while filler.write(chunk):
                pass
    except OSError:
        pass
    state.neuron_count = 5
    refuses(state.save, PATH, "cannot be saved")
    remove("filler", PATH + ".new")
    check(content(f.StateManager.load(PATH)) == before, "the old file")


def run(every=1):
    """`every`: of so many bits one is flipped."""
    what_was_saved_is_loaded_and_restored()
    buffers_hold_a_state()
    damage_is_noticed(every)
    files_that_are_none_are_refused()
    a_loss_of_power_leaves_the_old_or_the_new_state()
    a_full_disk_leaves_the_old_state()
    remove(PATH, PATH + ".new")
    print(checks, "checks,", failed, "failed")
