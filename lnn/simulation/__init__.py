"""Simulation: one step, many steps, many runs."""

from lnn.core.status import Status
from lnn.simulation.placement import Placed, place
from lnn.simulation.simulate import Group, simulate, simulate_groups
from lnn.simulation.stored_runs import Cell, Known
from lnn.simulation.sweep import Grid, sweep
from lnn.simulation.trajectories import Trajectories, record_steps

__all__ = [
    "Cell",
    "Grid",
    "Group",
    "Known",
    "Placed",
    "Status",
    "Trajectories",
    "place",
    "record_steps",
    "simulate",
    "simulate_groups",
    "sweep",
]
