"""A burst engine in miniature, for `make run`: it starts up, grows, tires and rests, while agents come and go.

It stands for an application: it knows the state and nothing of links. Runs on any board:

    demo = feagi_demo.Demo(feagi_state.StateManager.instance())
    demo.step()  # every STEP_MS
"""

from feagi_state import AgentType, BurstEngineState, ConnectomeState, GenomeState, ServiceState

STEP_MS = 50
# Cortical areas of this demo: one that is locked while it changes, and two of which statistics are kept.
LOCKED_AREA = 3
LOCK_OWNER = 7
STATS_AREAS = ("vision", "motor")
# What an application's own events mean is its business; kinds begin at 256.
EVENT_BURST = 256

AGENTS = (
    ("video_agent_01", AgentType.SENSORY, "camera 160x120"),
    ("servo_agent_01", AgentType.MOTOR, "2 servos"),
    ("monitor", AgentType.VISUALIZATION, ""),
    ("imu_agent_01", AgentType.SENSORY, "accelerometer, gyro"),
)


class Demo:
    """Advances a state step by step, the same way every time."""

    def __init__(self, state):
        self.state = state
        self.steps = 0
        self.random = 1

    def chance(self, below):
        """A number from 0 to below - 1 of a fixed sequence."""
        self.random = (self.random * 1103 + 12345) % 65536
        return self.random % below

    def step(self):
        """One step; call it every STEP_MS."""
        n = self.steps
        self.steps = n + 1
        if n < 20:
            self.start_up(n)
        else:
            self.run(n - 20)

    def start_up(self, n):
        s = self.state
        if n == 0:
            s.burst_engine_state = BurstEngineState.INITIALIZING
            s.genome_state = GenomeState.LOADING
            s.neuron_capacity = 1000000
            s.synapse_capacity = 50000000
            s.api_state = ServiceState.INITIALIZING
            s.set_fcl_window(LOCKED_AREA, 40)
            for area_id in STATS_AREAS:
                s.init_area_stats(area_id)
        elif n == 8:
            s.genome_state = GenomeState.LOADED
            s.connectome_state = ConnectomeState.INITIALIZING
            s.cortical_area_count = 12
        elif n == 14:
            s.connectome_state = ConnectomeState.READY
            s.api_state = ServiceState.READY
            s.burst_engine_state = BurstEngineState.READY
        elif n == 19:
            s.brain_readiness = True
            s.burst_frequency = 20.0
            s.burst_engine_state = BurstEngineState.RUNNING

    def run(self, n):
        s = self.state
        if n % 400 == 300:
            s.burst_engine_state = BurstEngineState.LIGHT_SLEEP
        elif n % 400 == 360:
            s.burst_engine_state = BurstEngineState.RUNNING
        if s.burst_engine_state == BurstEngineState.RUNNING:
            self.grow()
        else:
            s.subtract("synapse_count", 50)
        if n % 20 == 0:
            self.agents(n // 20)
            self.tire()
            self.lock()
        if n % 10 == 0:
            s.burst_frequency = 20.0 + self.chance(100) / 10
            s.emit(EVENT_BURST, n)

    def grow(self):
        s = self.state
        new = 10 + self.chance(40)
        s.add("regular_neuron_count", new - new // 8)
        s.add("memory_neuron_count", new // 8)
        s.add("neuron_count", new)
        s.add("synapse_count", new * 37)
        s.change_area_stats(STATS_AREAS[new % 2], new, new * 20, new * 17)

    def tire(self):
        s = self.state
        s.fatigue_index = self.steps // 8 % 100
        # FEAGI's thresholds: active from 85, and until it falls below 80.
        s.fatigue_active = s.fatigue_index >= (80 if s.fatigue_active else 85)
        s.regular_neuron_util = s.regular_neuron_count * 100 // s.neuron_capacity
        s.synapse_util = s.synapse_count * 100 // s.synapse_capacity

    def lock(self):
        s = self.state
        if s.is_locked(LOCKED_AREA):
            s.unlock(LOCKED_AREA, LOCK_OWNER)
        else:
            s.try_lock(LOCKED_AREA, LOCK_OWNER)

    def agents(self, n):
        agent_id, agent_type, metadata = AGENTS[n % len(AGENTS)]
        here = [a.agent_id for a in self.state.get_agents()]
        if agent_id not in here:
            self.state.register_agent(agent_id, agent_type, metadata)
        elif n % 3 == 0:
            self.state.deregister_agent(agent_id)
        for other in here:
            if other != agent_id:
                self.state.heartbeat(other)
