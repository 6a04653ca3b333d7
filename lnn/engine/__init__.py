"""Executing runs: one step, many steps, many runs."""

from lnn.engine.cells import Cell
from lnn.engine.data import Placed, place
from lnn.engine.known import Known
from lnn.engine.simulate import Group, simulate, simulate_groups
from lnn.engine.sweep import Grid, sweep
from lnn.engine.trajectories import Trajectories, record_steps
from lnn.status import Status

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
