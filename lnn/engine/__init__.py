"""Executing runs: one step, many steps, many runs."""

from lnn.engine.simulate import Status, Trajectories, record_steps, simulate
from lnn.engine.sweep import sweep

__all__ = ["Status", "Trajectories", "record_steps", "simulate", "sweep"]
