"""A statement on recurrent networks, how it is judged, and what the judges share.

Bands are 95 % intervals over seeds of a number that each seed gives (Student's t), unless said
otherwise. A judge returns None if the study lacks the runs that it needs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import xarray as xr

from lnn.results.verdict import Check, Findings, Verdict, at_least, at_most, verdict
from lnn.studies.width.config import Setup
from lnn.studies.width.selection import Slope, Sweep, select, setups

NAMES = {
    "characters": "characters (recurrent highway network)",
    "words": "words (LSTM)",
    "speech": "speech (Deep Speech 2)",
}

Judge = Callable[[xr.Dataset], Findings | None]


@dataclass(frozen=True)
class Statement:
    """A checkable statement; the fields have the meaning of those of `lnn.claims.claim.Claim`."""

    id: str
    documents: str
    source: str
    title: str
    statement: str
    rule: str
    judge: Judge


@dataclass(frozen=True)
class JudgedStatement:
    """A statement with what a study found."""

    statement: Statement
    findings: Findings

    @property
    def title(self) -> str:
        """The title of the statement."""
        return self.statement.title

    @property
    def verdict(self) -> Verdict:
        """The verdict that follows from the checks."""
        return verdict(self.findings.checks)

    @property
    def words(self) -> str:
        """One to three sentences composed from the numbers."""
        return self.findings.words

    def as_json(self) -> dict[str, Any]:
        """Return it for JSON, with every check."""
        checks = [{**asdict(check), "passed": check.passed} for check in self.findings.checks]
        return {
            "id": self.statement.id, "title": self.title, "verdict": str(self.verdict),
            "words": self.words, "checks": checks,
        }  # fmt: skip


def statement(**stated: Any) -> Callable[[Judge], Statement]:
    """Make a statement of the function that judges it; arguments are the other fields."""
    return lambda judge: Statement(judge=judge, **{"documents": "D", **stated})


def system(found: xr.Dataset, name: str) -> Setup | None:
    """Return the setup of a system, if the study has it."""
    return next((setup for setup in setups(found) if setup.system == name), None)


def sweeps(found: xr.Dataset) -> dict[str, Sweep]:
    """Return the runs of every system at the middle size."""
    return {setup.system: select(found, setup) for setup in setups(found)}


def characters(found: xr.Dataset, **other: Any) -> Sweep | None:
    """Return the runs on characters, as `select`, of the widths of which some run is not censored.

    None if those are fewer than two, or runs are missing.
    """
    setup = system(found, "characters")
    if setup is None:
        return None
    sweep = select(found, setup, **other)
    if len(sweep.widths) < len(setup.widths):
        return None
    known = [int(width) for width in sweep.widths[~sweep.censored.all(axis=1)]]
    return select(found, setup, widths=known, **other) if len(known) > 1 else None


def below(what: str, slope: Slope, bound: float = 0.0, **how: Any) -> Check:
    """Check that the upper end of an interval is at most `bound`."""
    return at_most(f"{what}: upper end of the 95 % interval", slope.high, bound, band=slope.ends,
                   **how)  # fmt: skip


def above(what: str, slope: Slope, bound: float = 0.0, **how: Any) -> Check:
    """Check that the lower end of an interval is at least `bound`."""
    return at_least(f"{what}: lower end of the 95 % interval", slope.low, bound, band=slope.ends,
                    **how)  # fmt: skip


def reported(found: Slope) -> tuple[float, tuple[float, float]]:
    """Return mean and interval, as `report` takes them."""
    return found.exponent, found.ends


def ends(values: np.ndarray) -> np.ndarray:
    """Return the value at the widest network over that at the narrowest, by seed, from (W, S).

    Seeds for which one of them is censored are left out.
    """
    ratio = values[-1] / values[0]
    return np.asarray(ratio[np.isfinite(ratio)])


def listed(parts: Sequence[str]) -> str:
    """Join "a", "b" and "c" to one text."""
    return " and ".join([", ".join(parts[:-1]), parts[-1]] if len(parts) > 1 else parts)
