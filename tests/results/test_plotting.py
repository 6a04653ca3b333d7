"""Figures as files: the same bytes, whatever the user's settings."""

from __future__ import annotations

import matplotlib
from fake_study import STUDIES
from PIL import Image

from lnn.results.plotting import DPI, WIDTH, save
from lnn.studies.compare.report import figures
from lnn.studies.compare.summary import summarize


def test_figure_bytes_and_settings(tmp_path):
    study = STUDIES["eight"]
    files = []
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        files.append(save(figures.figure(study, summarize(study)), tmp_path / folder))
        matplotlib.rcParams["font.size"] = 20  # a user's settings change nothing
    assert matplotlib.rcParams["font.size"] == 20
    matplotlib.rcdefaults()
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes()
    pdf = files[0][0].read_bytes()
    assert b"CreationDate" not in pdf
    assert b"/Type3" not in pdf  # Type 42 fonts stay text that publishers accept
    with Image.open(files[0][1]) as png:
        assert png.size[0] == int(WIDTH * DPI)
