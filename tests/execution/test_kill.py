"""SIGKILL at random moments: the files are those of a study that was never disturbed.

`python tests/kill_study.py --kills 100` is the long form.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from kill_study import STUDIES, kill_until_done


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(STUDIES)))
def test_a_killed_study_ends_with_the_same_bytes(number: int, tmp_path: Path) -> None:
    study = STUDIES[number]
    counts = kill_until_done(tmp_path, study, study.kills, random.Random(number))
    print(*study.command, counts)
    assert counts["kills"] == study.kills
