"""What the document says of its three systems, judged by runs on record, some of them repeated.

All runs of `python -m lnn.width` take most of an hour, so a claim reads those on record (RECORD).
Runs of each system are made again here, and must reach a common loss about when the recorded ones
did.
"""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

import numpy as np
import xarray as xr

from lnn.claims.claim import Claim
from lnn.claims.setting import Setting
from lnn.core.errors import DamagedError
from lnn.results.dataset import load_dataset
from lnn.results.verdict import Check, Findings, at_most
from lnn.studies.width.conclusion.listed import STATEMENTS
from lnn.studies.width.conclusion.statement import NAMES, Statement, system
from lnn.studies.width.selection import select
from lnn.studies.width.study import runs, steps_to
from lnn.studies.width.tasks import load_system, task
from lnn.studies.width.train import descend

RECORD = Path(__file__).parent / "recurrent.nc"
SHA256 = "b1beecf4b35dad14532761bf5c802fdb39b65410764d8001e45165706df92f1e"
"""Of RECORD; `.ci/recurrent.py` writes both."""

SAME = 2.0
"""A repeated run takes at most this factor more or fewer steps than the recorded one. The built-in
text depends on the version of Python, and rounding on the machine; with the same, they agree.
"""

_SYSTEMS = {f"D17{letter}": name for letter, name in zip("abc", NAMES, strict=True)}


@cache
def recorded_runs() -> xr.Dataset:
    """Return the runs on record.

    Raises:
        DamagedError: the file is not the one that belongs to this version.
    """
    found = hashlib.sha256(RECORD.read_bytes()).hexdigest()
    if found != SHA256:
        raise DamagedError(f"{RECORD.name} differs from what was recorded: install lnn again")
    return load_dataset(RECORD)


def repeated(name: str, setting: Setting) -> list[Check]:
    """Make runs on record again, one of the middle width, and one of each width unless quick."""
    record = recorded_runs()
    setup = system(record, name)
    assert setup is not None
    widths = setting.size(setup.widths, (setup.middle_width,))
    on_record = select(record, setup, widths=widths).goal[:, 0]
    own = task(setup, load_system(setup, None))
    found = []
    for run in runs(setup, widths, (setup.middle_size,), (0,)):
        steps = on_record[widths.index(run.width)]
        again = steps_to(descend(setup, own, run), record.attrs[f"{name}_goal"])
        if np.isfinite(steps):
            what = "factor between steps to the common loss, repeated and on record"
            factor = max(again / steps, steps / again)
            found.append(at_most(f"{what}, {run.width} hidden units", factor, SAME))
    return found


def _run(statement: Statement, setting: Setting) -> Findings:
    found = statement.judge(recorded_runs())
    assert found is not None
    name = _SYSTEMS.get(statement.id)
    checks = repeated(name, setting) if name else []
    return Findings((*found.checks, *checks), found.words)


def _claim(statement: Statement) -> Claim:
    again = (
        " One run on record is repeated (full: one of each width), and reaches the loss of the "
        f"narrowest network within a factor of {SAME:g} of its steps."
    )
    return Claim(
        id=statement.id, documents=statement.documents, source=statement.source,
        title=statement.title, statement=statement.statement,
        assumptions="Small networks and small data on two processor cores: exponents are those of "
        "this scale.",
        parameters="Runs on record of python -m lnn.width: built-in text of Python's "
        "documentation, synthetic spoken digits; brackets: 95 % intervals over seeds.",
        rule=statement.rule + again * (statement.id in _SYSTEMS),
        run=lambda setting: _run(statement, setting),
    )  # fmt: skip


CLAIMS = tuple(map(_claim, STATEMENTS))
