"""Runs on a board: what the module feagi_state does beyond the golden vectors. Prints each failure and a closing count."""

import io

import feagi_state as f

try:
    from micropython import heap_lock, heap_unlock
except ImportError:
    heap_lock = None

checks = failed = 0


def check(ok, what):
    global checks, failed
    checks += 1
    if not ok:
        failed += 1
        print("failed:", what)


def raises(kind, says, call, *args):
    try:
        call(*args)
    except Exception as error:
        check(type(error) is kind and says in str(error), "%s instead of %s %r" % (repr(error), kind.__name__, says))
    else:
        check(False, "no %s %r" % (kind.__name__, says))


def setter(state, name):
    return lambda value: setattr(state, name, value)


def errors_name_the_value_and_change_nothing():
    s = f.StateManager("tiny", 5)
    before = s.digest()
    raises(ValueError, "-1", setter(s, "neuron_count"), -1)
    raises(ValueError, "4294967296", setter(s, "neuron_count"), 2**32)
    raises(ValueError, str(2**70), setter(s, "genome_timestamp"), 2**70)
    raises(ValueError, "9", setter(s, "burst_engine_state"), 9)
    raises(TypeError, "", setter(s, "neuron_count"), "many")
    raises(TypeError, "", setter(s, "neuron_count"), 1.5)
    raises(AttributeError, "version", setter(s, "version"), 1)
    raises(AttributeError, "", setter(s, "no_such_field"), 1)
    raises(AttributeError, "no_such_field", s.add, "no_such_field", 1)
    raises(TypeError, "fatigue_index", s.add, "fatigue_index", 1)
    raises(ValueError, "'%s' is 40 bytes long, it should be 1 to 31" % ("a" * 40), s.register_agent, "a" * 40)
    raises(ValueError, "'' is 0 bytes long, it should be 1 to 31", s.register_agent, "")
    raises(ValueError, "b'\\xff'", s.register_agent, b"\xff")
    raises(ValueError, "7", s.register_agent, "cam", 7)
    raises(ValueError, "'no room' is 7 bytes long, it should be 0 to 0", s.register_agent, "cam", 0, "no room")
    raises(ValueError, "30 bytes long, it should be 0 to 24", f.StateManager("micro").register_agent, "cam", 0, "m" * 30)
    raises(ValueError, "b'\\xfe'", f.StateManager("micro").register_agent, "cam", 0, b"\xfe")
    raises(TypeError, "5", s.register_agent, 5)
    raises(f.AgentNotFound, "'cam'", s.get_agent, "cam")
    raises(ValueError, "255", s.emit, 255)
    raises(ValueError, "65536", s.emit, 65536)
    raises(ValueError, "'big'", f.StateManager, "big")
    raises(ValueError, "4294967296", f.StateManager, "tiny", 2**32)
    raises(TypeError, "", lambda: s.readinto(bytearray(8), offset=0))
    raises(TypeError, "", lambda: s.add("neuron_count", amount=1))
    check(s.digest() == before, "an error changed the state")
    check(issubclass(f.AgentNotFound, f.StateError) and issubclass(f.StateError, Exception), "the exceptions are no tree")


def fields_have_their_types():
    s = f.StateManager("tiny")
    s.brain_readiness = True
    s.burst_frequency = 12.5
    s.genome_timestamp = 2**64 - 1
    s.neuron_count = 2**32 - 1
    check(s.brain_readiness is True and s.fatigue_active is False, "bools")
    check(s.burst_frequency == 12.5, "floats")
    check(s.genome_timestamp == 2**64 - 1 and s.neuron_count == 2**32 - 1, "large ints")
    check(s.boot_id != 0, "boot id")


def agents_are_what_was_registered():
    s = f.StateManager("micro")
    s.tick(1000)
    handle = s.register_agent("caf\xe9", f.AgentType.MOTOR, "two servos")
    s.tick(2500)
    s.heartbeat("caf\xe9")
    a = s.get_agent("caf\xe9")
    check(a == ("caf\xe9", f.AgentType.MOTOR, 1000, 2500, "two servos", handle), "agent is %r" % (a,))
    check(a.agent_id == "caf\xe9" and a.last_seen == 2500, "named fields")
    check(s.get_agents() == [a] and s.agent_count == 1, "get_agents")
    raises(f.AgentAlreadyRegistered, "caf", s.register_agent, "caf\xe9")
    for n in range(15):
        s.register_agent("agent_%d" % n)
    raises(f.CapacityError, "'late'", s.register_agent, "late")
    check(s.agent_count == len(s.get_agents()) == 16, "count of a full table")


def agents_are_seen_by_handle_and_evicted():
    s = f.StateManager("micro")
    s.tick(1000)
    old, other = s.register_agent("old"), s.register_agent("other")
    s.tick(2000)
    s.heartbeat(other)
    check(s.get_agent("other").last_seen == 2000 and s.get_agent("old").last_seen == 1000, "heartbeat by handle")
    check(s.evict_stale(1000) == 0, "an agent of just this age is not older")
    check(s.evict_stale(999) == 1 and [a.agent_id for a in s.get_agents()] == ["other"], "evict_stale")
    raises(f.AgentNotFound, str(old), s.heartbeat, old)
    again = s.register_agent("old")
    check(again != old and again & 0xFFFF == old & 0xFFFF, "the slot's next agent has another handle")
    raises(f.AgentNotFound, str(old), s.heartbeat, old)
    raises(f.AgentNotFound, "65535", s.heartbeat, 65535)
    raises(f.AgentNotFound, "'none'", s.heartbeat, "none")
    raises(ValueError, "-1", s.heartbeat, -1)
    raises(ValueError, "4294967296", s.heartbeat, 2**32)
    raises(TypeError, "", s.heartbeat, None)
    raises(ValueError, "-5", s.evict_stale, -5)
    s.tick(2001)
    check(s.evict_stale(0) == 2 and s.agent_count == 0, "evict all")


def set_item(view):
    view[0] = 0


def areas_have_locks_windows_and_statistics():
    s = f.StateManager("tiny")
    check(s.try_lock(7) is True and s.try_lock(7) is False and s.is_locked(7), "lock")
    raises(f.NotLockOwner, "7", s.unlock, 7, 2)
    raises(f.NotLockOwner, "8", s.unlock, 8)
    check(s.get_locked_areas() == [7], "locked areas")
    check(s.lock_owner(7) == 1 and s.lock_owner(8) == 0, "owner")
    s.take_over(7, 1, 2**64 - 1)
    check(s.lock_owner(7) == 2**64 - 1, "owner after a take-over")
    raises(f.NotLockOwner, "7", s.take_over, 7, 1, 2)
    raises(f.NotLockOwner, "8", s.take_over, 8, 1, 2)
    s.unlock(7, 2**64 - 1)
    check(not s.is_locked(7) and s.get_locked_areas() == [], "unlock")
    raises(ValueError, "0", s.try_lock, 7, 0)
    raises(ValueError, "-1", s.try_lock, -1)
    check(s.get_fcl_window(3) == 20, "default window")
    s.set_fcl_window(3, 5)
    s.set_fcl_window(None, 30)
    check(s.get_fcl_window(3) == 5 and s.get_fcl_window(4) == 30 and s.get_fcl_windows() == {3: 5}, "windows")
    check(s.remove_fcl_window(3) is True and s.remove_fcl_window(3) is False and s.get_fcl_window(3) == 30, "remove")
    raises(f.CapacityError, "", lambda: [s.set_fcl_window(n, 1) for n in range(100, 200)])
    raises(f.AreaNotFound, "'iic'", s.get_area_stats, "iic")
    s.init_area_stats("iic")
    s.change_area_stats("iic", 10, 4, 2**32 - 1)
    s.change_area_stats("iic", -3, -5, 7)
    check(s.get_area_stats("iic") == (7, 0, 2**32 - 1), "statistics %r" % (s.get_area_stats("iic"),))
    before = s.digest()
    raises(ValueError, "", s.change_area_stats, "iic", 1, 2**32)
    raises(ValueError, "-1", s.set_area_stats, "iic", 1, -1)
    raises(f.AreaNotFound, "'v1'", s.set_area_stats, "v1", 1)
    raises(ValueError, "'%s' is 17 bytes long, it should be 1 to 16" % ("a" * 17), s.init_area_stats, "a" * 17)
    raises(ValueError, "b'\\xff': the text is not UTF-8", s.init_area_stats, b"\xff")
    check(s.digest() == before, "an error changed the statistics")
    s.set_area_stats("iic", 2**32 - 1, 8)
    check(s.get_area_stats("iic") == (2**32 - 1, 8, 2**32 - 1), "set statistics")
    version = s.version
    s.cortical_areas_hash = 2**64 - 1
    check(s.cortical_areas_hash == 2**64 - 1 and s.version == version, "hash")


def the_region_is_readable_and_not_writable():
    s = f.StateManager("tiny", 77)
    view = memoryview(s)
    check(bytes(view[:4]) == b"FGST" and len(view) == int.from_bytes(bytes(view[12:16]), "little"), "memoryview")
    raises(TypeError, "", set_item, view)
    try:
        io.BytesIO(bytes(100)).readinto(s)
    except Exception:
        check(bytes(memoryview(s)[:4]) == b"FGST", "a read into the state changed it")
    else:
        check(False, "the state was taken for a writable buffer")


def regions_begin_at_cache_lines():
    import uctypes

    kept = []
    for length in (1, 17, 33, 49):  # so that the heap gives another place each time
        kept.append(bytearray(length))
        check(uctypes.addressof(f.StateManager("tiny")) % 64 == 0, "a region is not aligned to 64")


def hot_calls_allocate_nothing():
    if heap_lock is None:
        return
    s = f.StateManager("micro")
    link = f.Link(io.BytesIO(b""), s, "quiet", io.BytesIO(2000))
    handle = s.register_agent("cam")
    link.poll()
    heap_lock()
    try:
        s.neuron_count = 5
        s.neuron_count
        s.add("neuron_count", 1)
        s.subtract("neuron_count", 1)
        s.burst_engine_state = 3
        s.heartbeat("cam")
        s.heartbeat(handle)
        s.evict_stale(10)
        s.lock_owner(3)
        s.emit(300, 1)
        s.tick()
        link.up
        link.poll()
        s.deregister_agent("cam")
        s.register_agent("cam")
        ok = True
    except MemoryError:
        ok = False
    finally:
        heap_unlock()
    check(ok, "a hot call allocates")


class Stream(io.IOBase):
    """A stream written in Python, whose reads and writes do as the test says."""

    def __init__(self):
        self.input = b""
        self.output = bytearray()
        self.takes = 1000
        self.fails = False

    def readinto(self, buf):
        if self.fails:
            raise ValueError("stream broke")
        if not self.input:
            return None
        n = min(len(buf), len(self.input))
        buf[:n] = self.input[:n]
        self.input = self.input[n:]
        return n

    def write(self, buf):
        n = min(self.takes, len(buf))
        if n == 0:
            return None
        self.output.extend(bytes(buf[:n]))
        return n

    def ioctl(self, request, arg):
        if request == 3:  # poll: always ready, as if it could not tell
            return arg
        return 0


def frame_of(data, session):
    return f.frame_decode(bytes(data), session)


def a_link_works_over_a_stream_that_takes_a_byte_at_a_time():
    s = f.StateManager("tiny", 1)
    stream = Stream()
    link = f.Link(stream, s, "slow")
    stream.takes = 1
    for _ in range(200):
        link.poll()
    hello = frame_of(stream.output, 0)
    check(hello is not None and hello[0] == 1 and not link.up, "hello %r" % (stream.output,))
    stream.takes = 1000
    session = link.session
    ack = b"\x1a" + session.to_bytes(4, "big")
    stream.input = b"noise\0" + f.frame_encode(3, 0, ack, 0)
    stream.output = bytearray()
    check(link.poll() is True and link.up, "no session")
    check(link.rejected == 1, "%d rejected" % link.rejected)
    delta = frame_of(stream.output, session)
    check(delta is not None and delta[0] == 0x10 and delta[1] == 1, "no snapshot: %r" % (stream.output,))


UNIX_MS = 1700000000000


def sync(state):
    """A host begins a session with this state and tells the time of day."""
    stream = Stream()
    link = f.Link(stream, state)
    link.poll()
    payload = b"\x1a" + link.session.to_bytes(4, "big") + b"\x1b" + UNIX_MS.to_bytes(8, "big")
    stream.input = b"\0" + f.frame_encode(3, 0, payload, 0)
    check(link.poll() is True, "no session")


def a_host_tells_the_time():
    s = f.StateManager("tiny")
    s.tick()
    s.register_agent("cam")
    s.neuron_count = 1
    check(s.unix_time is False and s.last_modified < 1000000, "a time before anybody told it")
    before = s.get_agent("cam").registered_at - s.last_modified
    sync(s)
    check(s.unix_time is True and 0 <= UNIX_MS - s.last_modified < 1000, "last_modified %d" % s.last_modified)
    check(s.get_agent("cam").registered_at - s.last_modified == before, "an age changed")
    check(s.evict_stale(60000) == 0 and s.agent_count == 1, "evicted by the change of the clock")
    s.neuron_count = 2
    check(0 <= s.last_modified - UNIX_MS < 1000, "a write after the change")
    s = f.StateManager("tiny")
    s.tick(1000)
    s.neuron_count = 1
    sync(s)
    check(s.unix_time is False and s.last_modified == 1000, "a host set the application's clock")


def a_second_link_takes_over():
    s = f.StateManager("tiny", 1)
    first, second = f.Link(Stream(), s), f.Link(Stream(), s)
    raises(f.StateError, "another Link", first.poll)
    check(second.poll() is False, "the second link is not served")


def a_stream_that_fails_raises_and_the_link_goes_on():
    s = f.StateManager("tiny", 2)
    stream = Stream()
    link = f.Link(stream, s, "broken")
    link.poll()
    stream.fails = True
    raises(ValueError, "stream broke", link.poll)
    stream.fails = False
    import time

    # The next poll that is let through again is at most a second away.
    start = time.ticks_ms()
    stream.output = bytearray()
    while not stream.output and time.ticks_diff(time.ticks_ms(), start) < 5000:
        link.poll()
    check(len(stream.output) > 0, "the link is dead after its stream failed once")


def a_long_name_or_no_stream_is_refused():
    s = f.StateManager("tiny")
    raises(ValueError, "25 bytes long, it should be 0 to 24", f.Link, io.BytesIO(), s, "x" * 25)
    raises(ValueError, "the text is not UTF-8", f.Link, io.BytesIO(), s, b"\xff")
    if big_heap():
        raises(ValueError, "a link carries 64", f.Link, io.BytesIO(), f.StateManager("host"), "host")
    raises(OSError, "", f.Link, 5)
    raises(TypeError, "3", f.Link, io.BytesIO(), 3)


def big_heap():
    import gc

    return gc.mem_free() > 400000 if hasattr(gc, "mem_free") else False


def run():
    for test in (
        errors_name_the_value_and_change_nothing,
        fields_have_their_types,
        agents_are_what_was_registered,
        agents_are_seen_by_handle_and_evicted,
        areas_have_locks_windows_and_statistics,
        the_region_is_readable_and_not_writable,
        regions_begin_at_cache_lines,
        hot_calls_allocate_nothing,
        a_link_works_over_a_stream_that_takes_a_byte_at_a_time,
        a_host_tells_the_time,
        a_second_link_takes_over,
        a_stream_that_fails_raises_and_the_link_goes_on,
        a_long_name_or_no_stream_is_refused,
    ):
        test()
    print(checks, "checks,", failed, "failed")
