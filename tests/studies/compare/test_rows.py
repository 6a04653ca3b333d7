"""Runs that have ended stay in."""

from __future__ import annotations

import numpy as np
import pytest
from fake_study import INF, by_hand

from lnn.studies.compare.rows import carried_forward, relative_suboptimality


def test_carried_forward():
    study = by_hand({"gd": [100, INF]}, diverged=True)
    values = carried_forward(study)[0]
    assert np.isnan(relative_suboptimality(study)[0, 0, -1])
    assert values[0, -1] == pytest.approx(0.1)
    assert values[1, -1] == INF
    assert np.isfinite(values[1, :-1]).all()
