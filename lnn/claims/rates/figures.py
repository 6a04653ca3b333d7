"""Figures of this document, reproduced from the claims' records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from lnn.claims.figure import paper_figure
from lnn.claims.record import Record
from lnn.results.plotting import blank, note
from lnn.theory.power_law import fit_power_law

GREEN, RED, INK, GREY = "#009E73", "#D55E00", "#000000", "#8A8A8A"
DASHED: Any = (0, (6, 2))


def _slopes(record: Record, name: str) -> list[float]:
    """Fit the last decade of steps, for each p."""
    found = record.arrays
    last = float(found["steps"][-1])
    return [
        fit_power_law(found["steps"], found[name][:, r], (last / 10, last)).exponent
        for r in range(found["p"].size)
    ]


def _caption(records: Mapping[str, Record]) -> str:
    record = records["C4"]
    found = record.arrays
    plain, deep = _slopes(record, "plain"), _slopes(record, "deep")
    ahead = found["plain"][-1] / found["deep"][-1]
    slow = found["deep"][:, 0] > found["plain"][:, 0]
    last_behind = int(found["steps"][slow].max(initial=0))
    start = (
        f"At p = 4 the run with the scalar is behind until step {last_behind}, while it leaves the "
        "saddle at zero. "
        if last_behind
        else "At p = 4 the run with the scalar is never behind. "
    )
    return (
        "Above: error of gradient descent on the $l_p$ loss of two points, y = (2, 1), without and "
        "with a scalar factor (dashed) at the same learning rate, $0.125 / y_1^{p-2}$; in the "
        "legends the slopes fitted to the last decade, and the slope of the lemma (dotted, at an "
        "arbitrary height). Below: the scalar, and the square root of the norm of y, where a "
        f"balanced flow from zero ends (dotted). {start}At the end the slopes are "
        f"{', '.join(f'{s:.3f}' for s in plain)} without and {', '.join(f'{s:.3f}' for s in deep)} "
        f"with the scalar for p = 4, 6 and 8, and the error without is "
        f"{', '.join(f'{a:.2f}' for a in ahead)} times that with it. As in the document the gain "
        "is made while s moves, and the curves are parallel then; its caption gives the slope "
        "without the sign."
    )


@paper_figure(
    name="hou-figure-1",
    source="Figure 1 and the plot in Appendix A",
    title="Error against steps with and without a scalar factor",
    claims=("C4",),
    paper="The error against time on logarithmic axes for the $l_4$ loss: gradient descent, "
    "the same with a scalar, and the scalar; an initial slowdown by the saddle at zero, then a "
    "gain at high error, then parallel lines of slope about -1/2.",
    caption=_caption,
)
def _draw(records: Mapping[str, Record]) -> Figure:
    record = records["C4"]
    found = record.arrays
    steps = found["steps"]
    fig = blank(3.9)
    axes = fig.subplots(
        2, 3, sharex=True, sharey="row", gridspec_kw={"height_ratios": [3, 1]},
    )  # fmt: skip
    slopes = {name: _slopes(record, name) for name in ("plain", "deep")}
    for r, p in enumerate(found["p"]):
        top, bottom = axes[:, r]
        exponent = -1 / (p - 2)
        guide = np.array([1e3, 1e6])
        middle = np.sqrt(found["plain"][-1, r] * found["deep"][-1, r])
        top.plot(
            guide, 1.9 * middle * (guide / steps[-1]) ** exponent, color=GREY, linewidth=0.9,
            linestyle=":", label=f"slope $-1/(p-2) = {exponent:.3g}$",
        )  # fmt: skip
        top.plot(
            steps, found["plain"][:, r], color=INK, linewidth=1.5,
            label=f"without scalar, {slopes['plain'][r]:.3f}",
        )  # fmt: skip
        top.plot(
            steps, found["deep"][:, r], color=GREEN, linewidth=1.5, linestyle=DASHED,
            label=f"with scalar, {slopes['deep'][r]:.3f}",
        )  # fmt: skip
        top.set(xscale="log", yscale="log", title=f"$p = {p:g}$")
        top.legend(frameon=False, fontsize=7, loc="lower left", handlelength=2.4)
        bottom.plot(steps, found["scale"][:, r], color=RED, linewidth=1.5)
        bottom.axhline(5**0.25, color=GREY, linewidth=0.9, linestyle=":")
        bottom.set(xlabel="Steps", ylim=(0, 1.75))
        bottom.set_xticks([1, 1e2, 1e4, 1e6])
    axes[0, 0].set(ylabel=r"Error $\Vert w - y \Vert$")
    axes[1, 0].set(ylabel="Scalar $s$")
    note(axes[1, 0], r"$\Vert y \Vert^{1/2}$", (1, 5**0.25), (2, -10), color=INK)
    return fig
