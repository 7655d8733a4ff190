"""A board with a state of 16 agents, served on its second port; its prompt is free for other tools."""

import feagi_serve
from machine import UART

FIELDS = ("neuron_count", "synapse_count", "cortical_area_count", "memory_usage", "regular_neuron_count", "memory_neuron_count", "neuron_capacity")

state = feagi_serve.serve(UART(1, 115200), "peers")
for number in range(16):
    if state.agent_count < 16:
        state.register_agent("agent-of-the-sort-%02d" % number)


def snapshot():
    """Counts and agents, as a program would print them."""
    return [[getattr(state, name) for name in FIELDS], [tuple(state.get_agent(agent)) if isinstance(agent, str) else agent for agent in state.get_agents()]]
