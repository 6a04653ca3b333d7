"""Words and numbers that several parts of the report share."""

from __future__ import annotations

import math

from fake_study import STUDIES

from lnn.studies.compare.report.wording import caption
from lnn.studies.compare.summary import summarize


def test_start_note_follows_the_scheme():
    study = STUDIES["three"].assign_attrs(init="near-zero", init_norm=math.nan)
    assert "different end-to-end matrices" in caption(summarize(study))
    assert "same end-to-end matrix" in caption(summarize(STUDIES["three"]))
