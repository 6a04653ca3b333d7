"""The labelled dataset of a study, from which all tables and figures are made."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import jax
import numpy as np
import xarray as xr

from lnn.core.linalg import condition_number
from lnn.core.precision import numerics_note
from lnn.core.problem import checksum
from lnn.core.status import Status
from lnn.results.dataset import described
from lnn.studies.compare.study import StudyRuns, rate_protocol
from lnn.studies.search import tuning_seeds


def to_dataset(study: StudyRuns) -> xr.Dataset:
    """Return the study as an xarray dataset, every variable with units and description."""
    config, methods = study.config, study.methods
    tunings, outcomes = study.tunings, study.reported
    runs = ("algorithm", "seed", "step")

    def recorded(name: str, text: str) -> Any:
        values = np.stack([getattr(outcome, name) for outcome in outcomes])
        return described(runs, values, text)

    longest = max(tuning.rates.size for tuning in tunings)

    def tried(name: str, fill: float) -> np.ndarray:
        first = getattr(tunings[0], name)
        padded = np.full((len(tunings), longest, *first.shape[1:]), fill, first.dtype)
        for row, tuning in zip(padded, tunings, strict=True):
            row[: tuning.rates.size] = getattr(tuning, name)
        return padded

    pairs = [(tuning.best(), tuning) for tuning in tunings]
    edge = [(i == t.rates.size - 1) - (i == 0) for i, t in pairs]
    flags = {
        "flag_values": np.array([status.value for status in Status], np.int8),
        "flag_meanings": " ".join(status.name.lower() for status in Status),
    }
    per_seed = ("algorithm", "rate", "tuning_seed")
    ended = np.stack([outcome.status for outcome in outcomes])
    variables: dict[str, Any] = {
        "loss": recorded("loss", "data loss L(W_e); NaN after the run ended"),
        "norm": recorded("norm", "Frobenius norm of W_e"),
        "gradient_norm": recorded("gradient_norm", "Frobenius norm of dL/dW at W_e"),
        "balancedness_gap": recorded(
            "balancedness_gap", "largest |W_(j+1)^T W_(j+1) - W_j W_j^T|_F; NaN without factors"
        ),
        "status": described(
            runs[:2], ended.astype(np.int8), "how the run ended", units=None, **flags
        ),
        "learning_rate": described(
            "algorithm", [t.rates[i] for i, t in pairs], "tuned learning rate"
        ),
        "edge": described(
            "algorithm", np.array(edge, np.int8),
            "-1 or 1: the tuned rate is the lowest or highest tried; 0: inside", units=None,
        ),
        "rate_spacing": described(
            "algorithm", [_spacing(t.rates, i) for i, t in pairs],
            "factor between the tuned rate and the nearest tried",
        ),
        "tuning_rate": described(
            per_seed[:2], tried("rates", np.nan), "learning rates tried, ascending; NaN pads"
        ),
        "tuning_status": described(
            per_seed, tried("status", -1).astype(np.int8), "how the tuning run ended; -1 pads",
            units=None, **flags,
        ),
        "tuning_steps_to_target": described(
            (*per_seed, "target"), tried("hits", np.inf), "steps to each target; inf if missed",
            "steps",
        ),
        "untouched_labels": described(
            "target", untouched_labels(study), "largest share of the labels (rows) that can stay "
            "as at W = 0 at a loss of this target",
        ),
        "tuning_final_suboptimality": described(
            per_seed, tried("final", np.inf), "last relative suboptimality; inf if diverged"
        ),
    }  # fmt: skip
    if config.save_weights:
        w = np.stack([outcome.w for outcome in outcomes if outcome.w is not None])
        variables["w"] = described((*runs, "output", "feature"), w, "end-to-end matrix W_e")
    coordinates = {
        "algorithm": described(
            "algorithm",
            [method.label for method in methods],
            "method and depth; xarray's own `method` argument takes that name",
            units=None,
        ),
        "rule": ("algorithm", [method.name for method in methods]),
        "depth": ("algorithm", [method.depth for method in methods], {"units": "1"}),
        "seed": ("seed", np.arange(config.seeds, dtype=np.int32)),
        "step": ("step", outcomes[0].steps.astype(np.int32), {"units": "steps"}),
        "target": described(
            "target", np.array(config.targets), "relative suboptimality (L - L*) / (L_0 - L*)"
        ),
        "tuning_seed": ("tuning_seed", np.array(tuning_seeds(config), np.int32)),
    }
    return xr.Dataset(variables, coordinates, _attributes(study))


def untouched_labels(study: StudyRuns) -> np.ndarray:
    """Return for each target the largest share of rows whose loss at W = 0 it leaves room for.

    A target L* + t (L_0 - L*) can be reached with these rows' predictions still zero if the others
    are fitted: such a target says nothing about them.
    """
    problem = study.problem
    y = np.abs(np.asarray(problem.y, np.float64).reshape(problem.m, -1))
    rows = np.sort(np.sum(y**problem.p, axis=1)) / (problem.p * problem.m)
    excess = study.zero_loss - study.reference_loss
    allowed = study.reference_loss + np.array(study.config.targets) * excess
    return np.searchsorted(np.cumsum(rows), allowed, side="right") / problem.m


def _spacing(rates: np.ndarray, best: int) -> float:
    """Return the factor between a rate and its nearest neighbour; NaN for a single rate."""
    factors = rates[1:] / rates[:-1]
    beside = factors[max(best - 1, 0) : best + 1]
    return float(beside.min()) if beside.size else np.nan


def _attributes(study: StudyRuns) -> dict[str, Any]:
    problem, config = study.problem, study.config
    kind = jax.local_devices()[0].device_kind
    constants = {
        method.label: ", ".join(f"{name} {value:g}" for name, value in method.constants.items())
        for method in study.methods
        if method.constants
    }
    return {
        "title": "Dynamics of deep linear networks on l_p regression",
        "problem": problem.name,
        "targets_meaning": problem.meaning if config.targets == problem.targets else "",
        "m": problem.m,
        "d": problem.d,
        "outputs": problem.k,
        "p": float(problem.p),
        "condition_number": condition_number(problem.x),
        "reference_loss": study.reference_loss,
        "zero_loss": study.zero_loss,
        "init": config.init,
        "init_norm": config.init_norm if config.init == "balanced" else np.nan,
        "hidden": " ".join(
            map(str, config.hidden or config.hidden_widths(2, problem.k, problem.d))
        ),
        "weight_decay": config.weight_decay,
        "divergence": config.divergence,
        "steps": config.steps,
        "dtype": config.dtype,
        "numerics": numerics_note(config.dtype, config.compensation),
        "devices": f"{jax.local_device_count()} x {kind}",
        "layout": study.placed.layout,
        "runs": study.runs,
        "diverged_runs": study.diverged,
        "rates": config.rates if isinstance(config.rates, int) else len(config.rates),
        "rate_low": min(config.rate_range if isinstance(config.rates, int) else config.rates),
        "rate_high": max(config.rate_range if isinstance(config.rates, int) else config.rates),
        "rate_protocol": rate_protocol(config),
        "constants": "; ".join(f"{label}: {text}" for label, text in constants.items()),
        "tuning_seeds": config.tuning_seeds,
        "seeds": config.seeds,
        "lnn_version": metadata.version("lnn"),
        "data_checksum": checksum(problem),
    }
