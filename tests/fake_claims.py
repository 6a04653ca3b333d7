"""Made-up claims, their records and figures, and a reader of the page that reports them."""

from __future__ import annotations

import math
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lnn.claims.claim import Claim
from lnn.claims.figure import PaperFigure
from lnn.claims.record import Record, record
from lnn.results.verdict import Findings, Role, Verdict, at_least, at_most, report, within

HOSTILE = "<script>alert('x')</script> & 50 % of $x_1 #~^\\ {"
LONG = (
    r"Balanced factors under the layer flow imply $\dot W_e = -\eta \lambda N W_e - \eta "
    r"\sum_{j=1}^{N} [W_e W_e^\top]^{\frac{j-1}{N}} \frac{dL^1}{dW}(W_e) "
    r"[W_e^\top W_e]^{\frac{N-j}{N}}$, where $W_e = W_N \cdots W_1$."
)
CHECKS = {
    "A1": (at_most("Worst error of $W_e$", 3e-11, 1e-8),),
    "A10": (
        within("Slope", -0.4998, -0.5, 0.005, band=(-0.501, -0.498)),
        within("Printed slope", -0.4998, 0.5, 0.005, Role.PRINTED, document="R"),
        report("Seconds, with 4 < 5", math.inf),
    ),
    "B1": (at_least("Ratio", 2.5, 1.3), at_least("Ratio at $p = 2$", 1.0, 1.3, Role.BEYOND)),
    "C1": (within("Distance", 1.36, 1.0, 0.02), at_most("Gap", math.nan, 1.0)),
    "D1": (report("Steps", 1234567.0, band=(1e6, 2e6)),),
    "D2": (within("Count", 3.0, 3.0, 0.0),),
    "D3": (within("Angle", 1.0, 3.0, 0.5),),
}
DOCUMENTS = {"A10": "AR", "B1": "L"}
"""Of claims that are not made by the document under which they are listed, alone."""
VERDICTS = {
    "A1": {"A": Verdict.HOLDS},
    "A10": {"A": Verdict.HOLDS, "R": Verdict.MISPRINTED},
    "B1": {"L": Verdict.CONDITIONAL},
    "C1": {"C": Verdict.FALSE},
    "D1": {"D": Verdict.REPORTED},
    "D3": {"D": Verdict.ANALOGUE},
}


def _never(_: Any) -> Findings:
    raise AssertionError("a report runs nothing")


CLAIMS = {
    name: Claim(
        id=name,
        documents=DOCUMENTS.get(name, name[0]),
        source="Theorem 1, eq. 8",
        title=r"The $\ell_p$ rate & more",
        statement=LONG,
        assumptions="Balanced start, $W_{j+1}^\\top W_{j+1} = W_j W_j^\\top$.",
        parameters="$N = 2, 3$; 5 seeds; 50 % of the runs.",
        rule="Holds if the error is at most $10^{-8}$.",
        run=_never,
        printed=r"$t^{1/p-2}$" if name == "A10" else "",
        analogue="a recurrent network" if name == "D3" else "",
        uses_data=name == "B1",
    )
    for name in CHECKS
}


def _draw(_: Any) -> Figure:
    fig = Figure(figsize=(7, 2.5))
    FigureCanvasAgg(fig)
    fig.subplots().plot(np.arange(5.0), np.arange(5.0))
    return fig


FIGURES = {
    name: PaperFigure(
        name=name,
        source="Figure 3",
        title=r"Depth helps $\ell_4$",
        claims=ids,
        paper="Depth accelerates for $p = 4$.",
        draw=_draw,
        caption=lambda records: f"The slope is ${records['A10'].checks[0].measured:.3f}$.",
    )
    for name, ids in {"figure-3": ("A1", "A10"), "figure-9": ("D1", "D2")}.items()
}


def provenance(**changes: Any) -> dict[str, Any]:
    return {
        "versions": {"python": "3.11.9", "lnn": "0.1.0", "jax": "0.10.2"},
        "platform": {"system": "Linux", "cpu": "Some_CPU & co", "cpu_count": 2},
        "git": {"commit": "0123456789abcdef", "dirty": True},
        "started_utc": "2025-01-01T10:00:00+00:00",
        "wall_seconds": 3723.0,
        "quick": True,
        "data": "the built-in problem",
        "data_checksum": "sha256:0123456789abcdef",
        "workers": 2,
        "failed": {"D2": f"ValueError: {HOSTILE}"},
        "differing": {"C1": ("holds", "false")},
        **changes,
    }


def records() -> dict[str, Record]:
    return {
        name: record(
            name,
            Findings(checks, "The largest error is $3 \\cdot 10^{-11}$; it is < 1."),
            seconds=1.5,
            quick=True,
            data="the built-in problem",
            key="k",
        )
        for name, checks in CHECKS.items()
        if name != "D2"
    }


class Page(HTMLParser):
    """Tags with their attributes, and text outside of script and style; checks the nesting."""

    VOID = frozenset({"meta", "link", "img", "input", "wbr", "br", "use", "path", "circle"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.open: list[str] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert len(dict(attrs)) == len(attrs), f"an attribute twice in {tag}"
        self.tags.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag, f"</{tag}> closes nothing"

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data

    def of(self, *names: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag in names]


def compile_tex(folder: Path, name: str) -> None:
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"],
        cwd=folder, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (folder / f"{name}.pdf").is_file()
