"""Runs unchanged on a board and in a page: says what each call of the module answers, but for times."""

import feagi_state as f

state = f.StateManager.instance()


def show(what, *args):
    try:
        print(what, args, "->", what_of(what)(*args))
    except Exception as error:
        print(what, args, "raises", [kind.__name__ for kind in kinds if isinstance(error, kind)])


def what_of(name):
    return getattr(state, name)


def put(name, value):
    try:
        setattr(state, name, value)
    except Exception as error:
        print(name, value, "raises", [kind.__name__ for kind in kinds if isinstance(error, kind)])
    else:
        print(name, "=", repr(getattr(state, name)))


kinds = [f.StateError, f.AgentNotFound, f.AgentAlreadyRegistered, f.CapacityError, f.AreaNotFound, f.NotLockOwner, f.PersistenceError]
kinds += [ValueError, TypeError, AttributeError, NotImplementedError]

print(f.AgentType.MOTOR, f.BurstEngineState.RUNNING, f.GenomeState.LOADED, f.ConnectomeState.READY, f.ServiceState.ERROR, f.EventKind.AGENT_REGISTERED)
print(f.StateManager.instance() is state, state.boot_id > 0, type(state.unix_time).__name__, f.schema_hash())
for value in (0, 7, 2**31, 2**32 - 1, 2**32, -1, 1.5, "7", None, True):
    put("neuron_count", value)
for value in (0, 2**53 + 1, 2**64 - 1, 2**64, -1):
    put("genome_timestamp", value)
    put("morphologies_hash", value)
for value in (12.5, 0.1, -1e30, 3, float("inf"), float("-inf"), float("nan"), "x"):
    put("burst_frequency", value)
for value in (True, False, 1, 2):
    put("fatigue_active", value)
for value in (100, 255, 256):
    put("fatigue_index", value)
put("burst_engine_state", f.BurstEngineState.RUNNING)
put("burst_engine_state", 9)
put("version", 1)
put("no_such_field", 1)

for field, amount in (("neuron_count", 5), ("neuron_count", 2**32 - 1), ("neuron_count", -1), ("genome_timestamp", 2**64 - 1)):
    show("subtract", field, amount)
    show("add", field, amount)
for field, amount in (("nope", 1), ("fatigue_index", 1), ("agent_count", 1)):
    show("subtract", field, amount)
    show("add", field, amount)

handle = state.register_agent("caf\xe9", f.AgentType.MOTOR, "two servos")
show("register_agent", "caf\xe9")
for name in ("", "x" * 32, b"\xff", 5):
    show("register_agent", name)
show("register_agent", "m", 0, "x" * 25)
show("register_agent", "m", 7)
agent = state.get_agent("caf\xe9")
print(agent.agent_id, agent.agent_type, agent.metadata, agent.handle == handle, agent.last_seen >= agent.registered_at, agent[0])
print([a.agent_id for a in state.get_agents()], state.agent_count)
for who in (handle, "caf\xe9", "none", handle + 65536, -1, None):
    show("heartbeat", who)
show("evict_stale", 60000)
show("evict_stale", -1)
show("get_agent", "none")
show("deregister_agent", "caf\xe9")
show("deregister_agent", "caf\xe9")
for n in range(16):
    state.register_agent("agent_%d" % n)
show("register_agent", "late")

for call in (("try_lock", 7), ("try_lock", 7), ("unlock", 7, 2), ("take_over", 7, 1, 2**64 - 1), ("lock_owner", 7), ("is_locked", 8), ("get_locked_areas",)):
    show(*call)
for call in (("unlock", 7, 2**64 - 1), ("try_lock", -1), ("try_lock", 7, 0), ("take_over", 9, 1, 2), ("lock_owner", 7)):
    show(*call)
for call in (("get_fcl_window", 3), ("set_fcl_window", 3, 2**32 - 1), ("set_fcl_window", None, 30), ("get_fcl_window", 4), ("get_fcl_windows",)):
    show(*call)
for call in (("remove_fcl_window", 3), ("remove_fcl_window", 3), ("set_fcl_window", 3, -1)):
    show(*call)
for call in (("get_area_stats", "v1"), ("init_area_stats", "v1"), ("change_area_stats", "v1", 10, 4, 2**32 - 1), ("change_area_stats", "v1", -3, -5, 7)):
    show(*call)
for call in (("get_area_stats", "v1"), ("set_area_stats", "v1", 8, 9), ("get_area_stats", "v1"), ("set_area_stats", "v1", -1), ("set_area_stats", "v2", 1)):
    show(*call)
show("init_area_stats", "x" * 17)

show("emit", 255)
show("emit", 65536)
event = state.pop_event()
while event is not None:
    print(event[:2])
    event = state.pop_event()
print(state.emit(256, 2**32 - 1), state.pop_event()[:2], state.pop_event(), state.events_rejected())

image = state.save()
print(type(image).__name__, len(image), bytes(image[:4]), state.save("saved"), state.save(bytearray(4000)))
show("save", bytearray(10))
digest = state.digest()
state.neuron_count = 77
state.deregister_agent("agent_3")
for source in (image, memoryview(image), bytes(image), "saved", bytearray(bytes(image) + bytes(50))):
    state.restore(source)
    print(state.neuron_count, state.agent_count, state.get_agent("agent_3").agent_id)
for source in (b"", b"FGIM", "none"):
    show("restore", source)
try:
    state.restore(bytes(image) + b"x")
except f.PersistenceError:
    print("more follows the image")
core = bytearray(128)
print(state.readinto(core), core[16:20], state.readinto(core, 0), bytes(core[:4]), state.digest() != digest)
state.tick()
