"""Made-up studies by the dataset's schema: power-law curves, some diverging, some short of target.

`fake_study(labels, ...)` gives every method a curve f(t) = (1 + t / scale)^(-slope), so that the
steps to a target are known in closed form up to the recording grid.
"""

from __future__ import annotations

import math

import numpy as np
import xarray as xr

TARGETS = (0.3, 0.1, 0.03, 0.01)
EIGHT = (
    *("gd", "momentum", "adagrad", "adadelta", "adam"),
    *("end-to-end-4", "layerwise-gd-4", "layerwise-adam-4"),
)
TWELVE = (
    *("gd", "momentum", "adagrad", "adadelta", "adam"),
    *("end-to-end-1.5", "end-to-end-2", "end-to-end-4", "end-to-end-inf"),
    *("single-output-2", "layerwise-gd-4", "layerwise-adam-4"),
)

SPEED = {
    "gd": 0.35,
    "momentum": 3.5,
    "adagrad": 0.9,
    "adadelta": 0.08,
    "adam": 2.2,
    "end-to-end-1.5": 1.1,
    "end-to-end-2": 1.6,
    "end-to-end-4": 1.2,
    "end-to-end-inf": 0.6,
    "single-output-2": 1.5,
    "layerwise-gd-4": 1.15,
    "layerwise-adam-4": 0.5,
}
"""Speed of each method: the larger, the fewer steps."""


def split_label(label: str) -> tuple[str, float]:
    """Rule and depth of a label."""
    name, _, depth = label.rpartition("-")
    try:
        return name, float(depth)
    except ValueError:
        return label, 1.0


def recorded_steps(steps: int) -> np.ndarray:
    """0, then geometrically spaced whole steps to the budget."""
    grid = np.geomspace(1, steps, int(np.log10(steps) * 60) + 1)
    return np.unique(np.concatenate([[0], np.round(grid)])).astype(np.int32)


def fake_study(
    labels: tuple[str, ...] = EIGHT,
    *,
    seeds: int = 9,
    steps: int = 10_000,
    targets: tuple[float, ...] = TARGETS,
    speed: dict[str, float] | None = None,
    spread: float = 0.15,
    diverging: dict[str, int] | None = None,
    edges: dict[str, int] | None = None,
    spacing: float = 1.2,
    wobble: float = 0.0,
) -> xr.Dataset:
    """A study of these methods.

    Args:
        labels: methods.
        seeds: number of reporting seeds.
        steps: budget.
        targets: relative suboptimalities, descending.
        speed: overrides of `SPEED`.
        spread: log-spread of the seeds' speeds; the same for all methods of a seed.
        diverging: how many of a method's seeds diverge, after some progress.
        edges: edge flags.
        spacing: factor between learning rates.
        wobble: log-spread of speeds that is not shared between methods.
    """
    speeds = {**SPEED, **(speed or {})}
    grid = recorded_steps(steps)
    rng = np.random.default_rng(0)
    shared = np.exp(spread * rng.standard_normal(seeds))
    reference, zero = 0.125, 0.625
    loss = np.full((len(labels), seeds, grid.size), np.nan)
    status = np.zeros((len(labels), seeds), np.int8)
    for i, label in enumerate(labels):
        slope = 0.8 + 0.05 * (i % 4)
        own = np.exp(wobble * rng.standard_normal(seeds))
        for s in range(seeds):
            curve = (1 + 0.2 * speeds[label] * shared[s] * own[s] * grid) ** -slope
            end, status[i, s] = grid.size, 3
            reached = curve <= min(targets)
            if reached.any():
                end, status[i, s] = int(np.argmax(reached)) + 1, 1
            if s < (diverging or {}).get(label, 0):
                end, status[i, s] = min(end, grid.size // 2 + 5 * s), 2
                curve = np.where(np.arange(grid.size) == end - 1, 5e3, curve)
            loss[i, s, :end] = reference + (zero - reference) * curve[:end]
    rules, depths = zip(*map(split_label, labels), strict=True)
    rates, tuning_seeds = 12, 3
    tuning_rate = 1e-3 * spacing ** np.arange(rates) * np.ones((len(labels), 1))
    per_seed = ("algorithm", "rate", "tuning_seed")
    shape = (len(labels), rates, tuning_seeds)
    runs = ("algorithm", "seed", "step")
    return xr.Dataset(
        {
            "loss": (runs, loss),
            "norm": (runs, np.where(np.isnan(loss), np.nan, 1.0)),
            "gradient_norm": (runs, loss),
            "balancedness_gap": (runs, np.full_like(loss, np.nan)),
            "status": (("algorithm", "seed"), status),
            "learning_rate": (("algorithm",), 0.01 * np.array([speeds[label] for label in labels])),
            "edge": (
                ("algorithm",),
                np.array([(edges or {}).get(label, 0) for label in labels], np.int8),
            ),
            "rate_spacing": (("algorithm",), np.full(len(labels), spacing)),
            "tuning_rate": (("algorithm", "rate"), tuning_rate),
            "tuning_status": (per_seed, np.full(shape, 3, np.int8)),
            "tuning_steps_to_target": (
                (*per_seed, "target"),
                np.full((*shape, len(targets)), np.inf),
            ),
            "tuning_final_suboptimality": (per_seed, np.full(shape, 0.5)),
        },
        {
            "algorithm": list(labels),
            "rule": ("algorithm", list(rules)),
            "depth": ("algorithm", list(depths)),
            "seed": np.arange(seeds, dtype=np.int32),
            "step": grid,
            "target": np.array(targets, np.float64),
            "tuning_seed": np.arange(1_000_000, 1_000_000 + tuning_seeds, dtype=np.int32),
        },
        {
            "problem": "synthetic",
            "m": 2565,
            "d": 128,
            "outputs": 1,
            "p": 4.0,
            "condition_number": 7.3e7,
            "reference_loss": reference,
            "zero_loss": zero,
            "init": "balanced",
            "init_norm": 0.1,
            "hidden": "default",
            "weight_decay": 0.0,
            "steps": steps,
            "dtype": "float32",
            "devices": "2 x cpu",
            "runs": 45 * len(labels),
            "diverged_runs": 7 * len(labels),
            "rates": rates,
            "rate_low": 1e-5,
            "rate_high": 10.0,
            "rate_protocol": "24 rates a method: 12 over 1e-05 to 10 (a factor 3.51 apart, "
            "extended once if the best is at an end), then 12 around the best (a factor 1.2 apart)",
            "constants": "momentum: decay 0.9; adam: b1 0.9, b2 0.999, eps 1e-08",
            "tuning_seeds": tuning_seeds,
            "seeds": seeds,
            "lnn_version": "0.1.0",
            "data_checksum": "sha256:0123456789abcdef0123456789abcdef",
        },
    )


STUDIES = {
    "eight": fake_study(diverging={"adam": 2, "momentum": 9}, edges={"adadelta": 1, "gd": -1}),
    "three": fake_study(("gd", "adam", "end-to-end-4")),
    "twelve": fake_study(TWELVE, speed={"gd": 0.1}, diverging={"adam": 3}, seeds=11),
    "nothing": fake_study(TWELVE, speed={name: 1e-4 * v for name, v in SPEED.items()}),
    "diverged": fake_study(("gd", "end-to-end-4"), diverging={"gd": 9, "end-to-end-4": 9}),
    "one": fake_study(("end-to-end-2",), seeds=1, targets=(0.1,)),
}


INF, NAN = math.inf, math.nan


def by_hand(hits: dict[str, list[float]], steps: int = 1000, diverged: bool = False) -> xr.Dataset:
    """A study with the one target 0.1, whose runs cross it at these steps (inf: never)."""
    grid = np.unique(
        [0, 1, steps, *(x for row in hits.values() for x in row if x < INF)]
    )  # crossings lie on the grid
    loss = np.ones((len(hits), len(next(iter(hits.values()))), grid.size))
    for i, row in enumerate(hits.values()):
        for s, hit in enumerate(row):
            loss[i, s, grid >= hit] = 0.1
            loss[i, s, grid > hit] = NAN
    status = np.where(np.isinf(list(hits.values())), 2 if diverged else 3, 1)
    if diverged:
        loss[..., -1][status == 2] = 1e4
    base = fake_study(tuple(hits), seeds=loss.shape[1], steps=steps, targets=(0.1,))
    study = base.drop_dims("step").assign_coords(step=grid.astype(np.int32))
    study["loss"] = (("algorithm", "seed", "step"), loss)
    study["status"] = (("algorithm", "seed"), status.astype(np.int8))
    return study.assign_attrs(reference_loss=0.0, zero_loss=1.0)
