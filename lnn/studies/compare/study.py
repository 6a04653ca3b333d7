"""A fair study: the same learning-rate search for every method, evaluated on other seeds.

The protocol is fixed beforehand and the same for every method:

- Targets are relative suboptimalities (L - L*) / (L_0 - L*), with L* of the reference solver and
  L_0 the loss at W = 0.
- Half of the learning rates are log-spaced over one range, which is extended once by half as many
  if the best rate is at an endpoint. The other half divides the interval between the best rate's
  neighbours.
- The best rate reaches the hardest target first or, if none does within the budget, ends at the
  lowest loss, judged by the worst of up to five tuning seeds (`lnn.studies.search.judge`). The
  median would choose rates at the edge of stability, where some evaluation seeds diverge.
- A run that ends diverged counts as infinity, even if it passed a target before: its parameters
  are not finite, or its last loss is above `divergence` times the loss at W = 0. One that comes
  back from a large loss is not lost.
- Tuning runs go on although they cannot be chosen any more: how they end is counted, each seed's
  own best rate is reported, and runs that share products round differently once another one stops.
- Evaluation seeds are never used for tuning. For each seed, all methods start from the same
  end-to-end matrix (balanced start).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from lnn.core import network
from lnn.core.problem import Problem
from lnn.core.reference import reference_optimum
from lnn.core.status import Status
from lnn.results.statistics import final_suboptimality, steps_to_target
from lnn.simulation import Cell, Grid, Placed, Trajectories, place, sweep
from lnn.simulation.placement import loss_at_zero
from lnn.studies.compare.config import StudyConfig
from lnn.studies.search import EXTENDED, RatePlan, judged, search, tuning_seeds
from lnn.transforms.catalogue import BASELINES, LAYERWISE, ONE_OUTPUT
from lnn.transforms.methods import Factored, Method, make_method


@dataclass
class Progress:
    """Run-steps done of those planned, reported by `report(done, total, text)`."""

    report: Callable[[int, int, str], None] | None
    total: int
    done: int = 0
    text: str = ""

    def tick(self, part: int) -> None:
        """Report the progress of the current batch."""
        if self.report is not None:
            self.report(min(self.done + part, self.total), self.total, self.text)

    def finish(self, part: int) -> None:
        """Count a batch as done."""
        self.done += part
        self.tick(0)


@dataclass
class Tuning:
    """The rates tried for one method, ascending, with their results."""

    rates: np.ndarray
    status: np.ndarray
    hits: np.ndarray
    final: np.ndarray

    def extended(self, other: Tuning) -> Tuning:
        """Merge two searches, ordered by rate."""
        order = np.argsort(np.concatenate([self.rates, other.rates]), kind="stable")
        return Tuning(
            *(
                np.concatenate([getattr(self, name), getattr(other, name)])[order]
                for name in ("rates", "status", "hits", "final")
            )
        )

    def best(self) -> int:
        """Return the index of the best rate, by the protocol of this module."""
        hardest, final = judged(self.hits[:, :, -1], axis=1), judged(self.final, axis=1)
        return min(range(self.rates.size), key=lambda i: (hardest[i], final[i]))

    @property
    def best_rate(self) -> float:
        """The best rate."""
        return float(self.rates[self.best()])


@dataclass
class StudyRuns:
    """A study in progress or done: per method its tuning and its evaluation runs.

    `cells` are all runs, for reuse by later studies; `sweeping` are options of every sweep.
    """

    problem: Problem
    config: StudyConfig
    methods: list[Method]
    progress: Progress
    reference_loss: float
    zero_loss: float
    placed: Placed
    slots: int
    tunings: list[Tuning] = field(default_factory=list)
    reported: list[Trajectories] = field(default_factory=list)
    runs: int = 0
    diverged: int = 0
    sweeping: Mapping[str, Any] = field(default_factory=dict)
    cells: list[Cell] = field(default_factory=list)
    _starts: dict[Any, Any] = field(default_factory=dict)

    def suboptimality(self, loss: np.ndarray) -> np.ndarray:
        """Return (L - L*) / (L_0 - L*)."""
        return (loss.astype(np.float64) - self.reference_loss) / (
            self.zero_loss - self.reference_loss
        )

    def run(
        self, seeds: range, rates: Sequence[np.ndarray], text: str, **options: Any
    ) -> list[Trajectories]:
        """Run the rates of each method, if any, from every seed's start."""
        config = self.config
        moving = [
            method.label for method, some in zip(self.methods, rates, strict=True) if some.size
        ]
        who = moving[0] if len(moving) == 1 else f"{len(moving)} methods"
        self.progress.text = f"{who}: {text}"
        target = min(config.targets)
        grids = [
            Grid(method, [self.start(method, seed) for seed in seeds], chosen, seeds)
            for method, chosen in zip(self.methods, rates, strict=True)
        ]
        outs = sweep(
            self.placed, grids, config.steps, slots=[self.slots] * len(grids),
            dtype=config.dtype, compensation=config.compensation,
            weight_decay=config.weight_decay, divergence=config.divergence,
            progress=self.progress.tick,
            stop_loss=self.reference_loss + target * (self.zero_loss - self.reference_loss),
            **self.sweeping, **options,
        )  # fmt: skip
        for grid, out in zip(grids, outs, strict=True):
            keys = np.array(grid.keys()).reshape(-1, 2)
            label = grid.method.label
            self.cells.append(Cell(label, keys[:, 0].astype(int), keys[:, 1], config.steps, out))
        self.progress.finish(sum(grid.runs for grid in grids) * config.steps)
        self.runs += sum(out.status.size for out in outs)
        self.diverged += sum(int((out.status == Status.DIVERGED).sum()) for out in outs)
        return outs

    def start(self, method: Method, seed: int) -> Any:
        """Return a method's start: factors or their product; if balanced, one W_e(0) for all."""
        config, k, d = self.config, self.problem.k, self.problem.d
        if isinstance(method.parameterization, Factored):
            hidden = method.parameterization.hidden
        elif config.init == "balanced":
            hidden = ()
        else:
            hidden = config.hidden_widths(method.depth, k, d)
        key = (seed, hidden)
        if key not in self._starts:
            balanced = config.init == "balanced"
            self._starts[key] = network.init_factors(
                jax.random.key(seed),
                (d, *hidden, k),
                config.init,
                scale=config.init_norm if balanced else None,
                rank=config.start_rank(k, d) if balanced else None,
            )
        factors = self._starts[key]
        if isinstance(method.parameterization, Factored):
            return factors
        return np.linalg.multi_dot(factors[::-1]) if len(factors) > 1 else factors[0]

    def try_rates(self, rates: Mapping[int, np.ndarray], text: str) -> None:
        """Run rates of each method on the tuning seeds, and add them to its tuning."""
        seeds = tuning_seeds(self.config)
        if text == EXTENDED:
            extra = sum(some.size for some in rates.values())
            self.progress.total += extra * len(seeds) * self.config.steps
        for i, out in enumerate(self.run(seeds, list(rates.values()), text)):
            if i == len(self.tunings):
                self.tunings.append(self._judged(rates[i], out))
            elif rates[i].size:
                self.tunings[i] = self.tunings[i].extended(self._judged(rates[i], out))

    def _judged(self, rates: np.ndarray, out: Trajectories) -> Tuning:
        shape = (self.config.tuning_seeds, rates.size)
        suboptimality = self.suboptimality(out.loss)
        diverged = out.status == Status.DIVERGED
        hits = steps_to_target(out.steps, suboptimality, np.array(self.config.targets), diverged)
        return Tuning(
            rates,
            out.status.reshape(shape).T,
            np.swapaxes(hits.reshape(*shape, -1), 0, 1),
            final_suboptimality(suboptimality, diverged).reshape(shape).T,
        )

    def tune(self) -> None:
        """Search every method's rate by the protocol of this module."""
        config, methods = self.config, range(len(self.methods))
        if not isinstance(config.rates, int):
            self.try_rates(dict.fromkeys(methods, np.array(config.rates)), "given rates")
            return
        coarse = coarse_grid(config)
        spacing, fine = coarse[1] / coarse[0], config.rates - coarse.size
        plan = RatePlan[float](
            coarse,
            lambda best: extended_grid(coarse, best, spacing),
            lambda best: fine_grid(best, spacing, fine),
        )
        search(methods, plan, self.try_rates, lambda i: self.tunings[i].best_rate)


def coarse_grid(config: StudyConfig) -> np.ndarray:
    """Return the first half of the learning rates, log-spaced over the range."""
    assert isinstance(config.rates, int)
    return np.geomspace(*config.rate_range, config.rates - config.rates // 2)


def extended_grid(coarse: np.ndarray, best: float, spacing: float) -> np.ndarray:
    """Return half as many rates beyond the endpoint that is best; none if it is inside."""
    extra = spacing ** np.arange(1, coarse.size // 2 + 1)
    if best == coarse[0]:
        return coarse[0] / extra[::-1]
    return coarse[-1] * extra if best == coarse[-1] else np.empty(0)


def fine_grid(best: float, spacing: float, count: int) -> np.ndarray:
    """Return `count` rates log-spaced strictly between best / spacing and best * spacing.

    The spacing avoids the best rate itself; an odd count leaves out the middle.
    """
    inner = np.geomspace(best / spacing, best * spacing, count + 2 + count % 2)[1:-1]
    return np.delete(inner, inner.size // 2) if count % 2 else inner


def rate_protocol(config: StudyConfig) -> str:
    """Describe in one line how learning rates are chosen."""
    if not isinstance(config.rates, int):
        return f"{len(config.rates)} given rates a method, {config.rates[0]:g} to " + (
            f"{config.rates[-1]:g}"
        )
    coarse = coarse_grid(config)
    spacing = coarse[1] / coarse[0]
    fine = config.rates - coarse.size
    finest = spacing ** (2 / (fine + 1 + fine % 2))
    return (
        f"{config.rates} rates a method: {coarse.size} over {coarse[0]:g} to {coarse[-1]:g} (a "
        f"factor {spacing:.3g} apart, extended once if the best is at an end), then {fine} around "
        f"the best (a factor {finest:.3g} apart)"
    )


def study_methods(config: StudyConfig, k: int, d: int) -> list[Method]:
    """Return the methods: baselines once, deep methods at every depth that they support."""
    methods = []
    for name in config.methods:
        if name in ONE_OUTPUT and k > 1:
            raise ValueError(
                f"method {name!r} needs one output, the problem has {k}: use 'end-to-end'"
            )
        for depth in (1.0,) if name in BASELINES else config.depths:
            if name in LAYERWISE:
                if depth.is_integer():
                    methods.append(make_method(name, depth, config.hidden_widths(depth, k, d)))
            else:
                methods.append(make_method(name, depth))
    return methods


def run_study(
    problem: Problem,
    config: StudyConfig,
    report: Callable[[int, int, str], None] | None = None,
    **sweeping: Any,
) -> StudyRuns:
    """Tune every method, then run it at its rate on the evaluation seeds.

    `report` is called with (run-steps done, run-steps planned, text); `sweeping` are journal, known
    and exchange of `lnn.simulation.sweep`.

    Raises:
        ValueError: methods that do not fit the problem, or a problem already solved by W = 0.
        ArithmeticError: the reference solver did not reach its tolerance.
    """
    methods = study_methods(config, problem.k, problem.d)
    _, reference_loss = reference_optimum(problem)
    zero_loss = loss_at_zero(problem)
    if not zero_loss > reference_loss * (1 + 1e-9):
        raise ValueError(
            f"the loss at W = 0 ({zero_loss:g}) is already minimal: the labels have no "
            "linear relation to the features, so there is nothing to optimize"
        )
    # The sum over examples must be finite too.
    largest = np.finfo(config.dtype).max / (problem.p * problem.m)
    if not zero_loss < largest:
        raise ValueError(
            f"the loss at W = 0 is {zero_loss:g}, too large for {config.dtype}: use a smaller p, "
            "dtype float64, or labels of smaller size"
        )
    tried = config.rates if isinstance(config.rates, int) else len(config.rates)
    tuned = tried * config.tuning_seeds
    planned = len(methods) * (tuned + config.seeds) * config.steps
    # Slots for the largest stage, so that all stages share one program.
    stage = coarse_grid(config).size if isinstance(config.rates, int) else tried
    slots = max(stage * config.tuning_seeds, config.seeds)
    placed = place(problem, config.dtype, slots * len(methods))
    study = StudyRuns(
        problem, config, methods, Progress(report, planned), reference_loss, zero_loss, placed,
        slots, sweeping=sweeping,
    )  # fmt: skip
    study.tune()
    study.reported = study.run(
        range(config.seeds), [tuning.rates[[tuning.best()]] for tuning in study.tunings],
        "evaluation seeds", save_weights=config.save_weights,
    )  # fmt: skip
    return study
