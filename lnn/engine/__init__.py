"""Executing runs: one step, many steps, many runs."""

from lnn.engine.simulate import Trajectories, record_steps, simulate
from lnn.engine.sweep import sweep
from lnn.status import Status

__all__ = ["Status", "Trajectories", "record_steps", "simulate", "sweep"]
