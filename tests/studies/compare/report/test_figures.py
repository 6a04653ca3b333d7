"""The figure of a study."""

from __future__ import annotations

import pytest
from fake_study import STUDIES, fake_study
from matplotlib.text import Text

from lnn.results.plotting import WIDTH
from lnn.studies.compare.report import figures
from lnn.studies.compare.summary import summarize


@pytest.mark.parametrize("name", STUDIES)
def test_figure_stays_within_its_page(name):
    study = STUDIES[name]
    fig = figures.figure(study, summarize(study))
    assert fig.get_figwidth() == WIDTH
    box = fig.get_tightbbox()
    assert box.x0 >= 0
    assert box.y0 >= 0
    assert box.x1 <= fig.get_figwidth()
    assert box.y1 <= fig.get_figheight()
    assert all(text.get_fontsize() >= 7 for text in fig.findobj(Text) if text.get_text())


def test_row_names_do_not_reach_into_the_chart():
    study = STUDIES["twelve"]
    fig = figures.figure(study, summarize(study))
    dots = fig.axes[1]
    names = [text for text in dots.texts if "depth" in text.get_text()]
    assert len(names) == 7
    assert all(text.get_window_extent().x1 < dots.get_window_extent().x0 for text in names)


def test_a_rule_of_ones_own_and_many_methods():
    labels = tuple(f"own{i}" for i in range(30))
    study = fake_study(labels, speed=dict.fromkeys(labels, 1.0), seeds=2)
    fig = figures.figure(study, summarize(study))
    assert "AD" in [text.get_text() for text in fig.axes[1].texts]
