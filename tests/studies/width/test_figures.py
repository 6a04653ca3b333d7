"""Figures of the study of width and their captions, drawn from made-up runs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.text import Text
from small_width import SIZES, WIDTHS, World, made_up_setups

from lnn.studies.width.config import SYSTEMS, Setup
from lnn.studies.width.figures import draw_all, draw_geometry, draw_steps, draw_structure
from lnn.studies.width.report import captions
from lnn.studies.width.runs import RecurrentRun
from lnn.studies.width.selection import select

WORLD = World()
(CHARACTERS,) = made_up_setups(("characters",))


@pytest.fixture(scope="module")
def found() -> xr.Dataset:
    return WORLD.dataset()


def texts(fig: Figure) -> Iterator[Text]:
    """All text that is shown."""
    fig.canvas.draw()
    for item in fig.findobj(Text):
        if item.get_visible() and item.get_text().strip():
            yield item


def check_type(fig: Figure) -> None:
    """Nothing is smaller than 7 points, unknown, or not a number."""
    shown = list(texts(fig))
    assert min(text.get_fontsize() for text in shown) >= 7
    assert not [text for text in shown if re.search(r"\bnan\b|\binf\b", text.get_text())]


@pytest.mark.parametrize("count", [1, 3])
def test_steps_have_a_panel_for_each_system(count: int, found: xr.Dataset) -> None:
    some = found if count == 3 else WORLD.dataset([CHARACTERS])
    fig = draw_steps(some)
    assert len(fig.axes) == count
    labels = [
        [text.get_text() for text in ax.get_legend().get_texts()] for ax in fig.axes
    ]  # fmt: skip
    assert labels[0] == [
        "1000 characters: -0.40",  # flat between the two widest
        "2000 characters: -0.50",
        "4000 characters: -0.50",
    ]
    if count == 3:
        assert labels[1][1] == "2000 words: -0.30"
        assert labels[2][2] == "4000 utterances: -0.10"
    check_type(fig)


def test_lines_are_medians_and_fits(found: xr.Dataset) -> None:
    (ax,) = draw_steps(WORLD.dataset([CHARACTERS])).axes
    steps = select(found, CHARACTERS).steps
    line = next(each for each in ax.lines if each.get_label() == "2000 characters: -0.50")
    np.testing.assert_array_equal(line.get_xdata(), 100 * np.array(WIDTHS))
    np.testing.assert_array_equal(line.get_ydata(), np.median(steps, axis=1))
    fit = next(each for each in ax.lines if each.get_color() == line.get_color()
               and len(each.get_xdata()) == 20)  # fmt: skip
    np.testing.assert_allclose(fit.get_ydata()[[0, -1]], steps[[0, -1], 1], rtol=1e-3)
    assert ax.get_xscale() == ax.get_yscale() == "log"


def test_geometry_has_six_panels(found: xr.Dataset) -> None:
    fig = draw_geometry(found, CHARACTERS)
    assert [ax.get_title("left") for ax in fig.axes] == [f"({letter})" for letter in "abcdef"]
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert labels == ["embedding", "hidden", "softmax", "all"]
    drawn = {line.get_label(): line.get_ydata() for line in fig.axes[2].lines}
    true = np.array(WORLD.long)[:, None] * (np.array(WIDTHS) / 4) ** np.array(WORLD.step)[:, None]
    for name, values in zip(labels, true, strict=True):
        np.testing.assert_allclose(drawn[name], values)
    straight = {line.get_label(): line.get_ydata() for line in fig.axes[3].lines}["all"]
    np.testing.assert_allclose(straight[0], 15.0 / (0.12 * 10_000))
    check_type(fig)
    speech = next(each for each in made_up_setups() if each.system == "speech")
    legend = draw_geometry(found, speech).legends[0]
    assert legend.get_texts()[0].get_text() == "convolutions"


@pytest.mark.parametrize(
    ("changes", "labels"),
    [
        ({}, ["Parameters"] * 2 + ["Depth of a step", "Training characters"] + ["Parameters"] * 2),
        ({"tuned": (), "rates": (0.8,)},
         ["Parameters", "Depth of a step", "Training characters", "Parameters"]),
        ({"tuned": (), "rates": (0.8,), "optimizers": ("sgd",), "depths": (4,)},
         ["Training characters", "Parameters"]),
        ({"tuned": (), "optimizers": ("sgd",), "depths": (4,), "sizes": SIZES[:1]},
         ["Parameters", "Parameters"]),
    ],
)  # fmt: skip
def test_structure_shows_what_was_compared(changes: dict[str, Any], labels: list[str]) -> None:
    (setup,) = made_up_setups(("characters",), **changes)
    some = WORLD.dataset([setup])
    fig = draw_structure(some, setup)
    assert [ax.get_xlabel() for ax in fig.axes] == labels
    check_type(fig)
    told = captions(some)["structure-characters"]
    assert len(re.findall(r"\([a-f]\)", told)) == len(labels)


def test_tuned_rates_stand_at_their_points(found: xr.Dataset) -> None:
    fig = draw_structure(found, CHARACTERS)
    panel = fig.axes[4]
    assert [text.get_text() for text in panel.texts] == ["3.2"] * len(WIDTHS)
    assert [text.xy[0] for text in panel.texts] == [100 * width for width in WIDTHS]
    # 0.9, but (0.9 + 0.9 - 0.5) / 2 for the widest, whose curve is flat with the least data.
    assert fig.axes[3].texts[0].get_text() == "exponent 0.85"


@pytest.mark.parametrize(
    "systems", [("words",), ("characters", "speech"), SYSTEMS], ids=lambda each: str(len(each))
)
def test_every_figure_has_a_caption(systems: tuple[str, ...]) -> None:
    setups = made_up_setups(systems, sizes=SIZES[:1], rates=(0.8,), optimizers=("sgd",), tuned=())
    some = WORLD.dataset(setups)
    told = captions(some)
    assert list(told) == list(draw_all(some))
    assert "structure-words" not in told
    assert ("structure-characters" in told) == ("characters" in systems)  # of several depths
    for text in told.values():
        assert not re.search(r"\bnan\b", text)
        assert text.isascii()
    for system in systems:
        assert "exponent" in told[f"geometry-{system}"].lower()


def lost_all(run: RecurrentRun) -> bool:
    return True


def lost_widest(run: RecurrentRun) -> bool:
    return run.width == WIDTHS[-1]


def lost_most(run: RecurrentRun) -> bool:
    return run.width != WIDTHS[1] or run.seeds != (0,)


@pytest.mark.slow
@pytest.mark.parametrize("lost", [lost_all, lost_widest, lost_most])
@pytest.mark.parametrize("setup", made_up_setups()[:2], ids=lambda setup: setup.system)
def test_censored_runs_are_triangles(lost: Any, setup: Setup) -> None:
    some = replace(WORLD, lost=lost).dataset([setup])
    for name, fig in draw_all(some).items():
        check_type(fig)
        assert "nan" not in captions(some)[name]
    (ax,) = draw_steps(some).axes
    triangles = [line for line in ax.lines if line.get_marker() == 6]
    shown = np.concatenate([line.get_ydata() for line in triangles])
    sweeps = [select(some, setup, size) for size in SIZES]
    true = np.concatenate([sweep.taken[sweep.censored] for sweep in sweeps])
    np.testing.assert_array_equal(np.sort(shown), np.sort(true))
    if lost is lost_all:
        assert ax.get_legend().get_texts()[0].get_text().endswith(": unknown")
