"""The report of the claims: page, appendix and tables, from made-up records."""

from __future__ import annotations

import base64
import csv
import io
import json
import math
import re
import shutil
import subprocess
from collections.abc import Iterator
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from lnn.claims import DOCUMENTS, all_claims, all_figures
from lnn.claims.claim import (
    Claim,
    Findings,
    Role,
    Verdict,
    at_least,
    at_most,
    report,
    within,
)
from lnn.claims.errata import ERRATA, SOURCES
from lnn.claims.figure import PaperFigure
from lnn.claims.record import Record, record
from lnn.claims.report import tables
from lnn.claims.report.write import write_report
from lnn.results import formulas

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
        within("Printed slope", -0.4998, 0.5, 0.005, Role.PRINTED),
        report("Seconds, with 4 < 5", math.inf),
    ),
    "B1": (at_least("Ratio", 2.5, 1.3), at_least("Ratio at $p = 2$", 1.0, 1.3, Role.BEYOND)),
    "C1": (within("Distance", 1.36, 1.0, 0.02), at_most("Gap", math.nan, 1.0)),
    "D1": (report("Steps", 1234567.0, band=(1e6, 2e6)),),
    "D2": (within("Count", 3.0, 3.0, 0.0),),
}
VERDICTS = {
    "A1": Verdict.HOLDS,
    "A10": Verdict.MISPRINTED,
    "B1": Verdict.CONDITIONAL,
    "C1": Verdict.FALSE,
    "D1": Verdict.REPORTED,
}


def _never(_: Any) -> Findings:
    raise AssertionError("a report runs nothing")


CLAIMS = {
    name: Claim(
        id=name,
        source="Theorem 1, eq. 8",
        title=r"The $\ell_p$ rate & more",
        statement=LONG,
        assumptions="Balanced start, $W_{j+1}^\\top W_{j+1} = W_j W_j^\\top$.",
        parameters="$N = 2, 3$; 5 seeds; 50 % of the runs.",
        rule="Holds if the error is at most $10^{-8}$.",
        run=_never,
        printed=r"$t^{1/p-2}$" if name == "A10" else "",
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


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    found = tmp_path_factory.mktemp("report")
    assert write_report(found, records(), CLAIMS, FIGURES, provenance()) == {}
    return found


@pytest.fixture(scope="module")
def page(folder: Path) -> Page:
    return Page((folder / "report.html").read_text(encoding="utf-8"))


def test_everything_is_written(folder: Path) -> None:
    names = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert names == {
        "report.html", "appendix.tex", "claims.csv", "claims.json",
        "figures/figure-3.pdf", "figures/figure-3.png",
    }  # fmt: skip


def test_same_records_same_bytes(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, records(), CLAIMS, FIGURES, provenance())
    for path in filter(Path.is_file, folder.rglob("*")):
        assert (tmp_path / path.relative_to(folder)).read_bytes() == path.read_bytes(), path.name


def test_only_text_of_provenance_depends_on_it(folder: Path, tmp_path: Path) -> None:
    write_report(tmp_path, records(), CLAIMS, FIGURES, provenance(wall_seconds=9.0, git=None))
    for name in ("claims.csv", "claims.json", "figures/figure-3.pdf", "figures/figure-3.png"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes()
    for name in ("report.html", "appendix.tex"):
        old, new = ((place / name).read_text().splitlines() for place in (folder, tmp_path))
        assert len(old) == len(new)
        assert 0 < sum(a != b for a, b in zip(old, new, strict=True)) <= 3


# The tables


def test_json_is_strict_and_complete(folder: Path) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(name)

    found = json.loads((folder / "claims.json").read_text(), parse_constant=refuse)
    assert [one["id"] for one in found] == list(CLAIMS)
    needed = {"id", "source", "title", "statement", "document", "verdict", "measured", "expected",
              "tolerance", "seconds"}  # fmt: skip
    assert all(needed <= set(one) for one in found)
    by_id = {one["id"]: one for one in found}
    assert {name: by_id[name]["verdict"] for name in VERDICTS} == VERDICTS
    assert by_id["A10"]["measured"] == -0.4998
    assert by_id["A10"]["tolerance"] == 0.005
    assert by_id["A10"]["printed"] == "$t^{1/p-2}$"
    assert by_id["D1"]["expected"] is None
    assert by_id["D2"]["verdict"] == "failed"
    assert HOSTILE in by_id["D2"]["error"]


def test_csv_has_a_line_for_each_claim(folder: Path) -> None:
    found = list(csv.DictReader(io.StringIO((folder / "claims.csv").read_text())))
    assert [one["id"] for one in found] == list(CLAIMS)
    assert float(found[1]["measured"]) == -0.4998
    assert found[1]["words"] == records()["A10"].words
    assert found[-1]["measured"] == ""
    assert HOSTILE in found[-1]["error"]


@pytest.mark.parametrize("width", [72, 100, 160])
def test_terminal_table(width: int) -> None:
    rows = tables.rows(records(), CLAIMS, provenance()["failed"])
    out = io.StringIO()
    tables.print_verdicts(rows, provenance()["differing"], out, width)
    text = out.getvalue()
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= max(width, 90)
    assert re.search(r"^A10 +false as printed +-0\.4998 +-0\.5 \+/- 0\.005 +1\.5  ", text, re.M)
    assert re.search(r"^C1 differs: recorded as holds, found false\.$", text, re.M)
    assert text.splitlines()[-1].startswith("6 claims: 1 holds") or width < 100
    assert " ".join(text.split()).endswith(
        "6 claims: 1 holds, 1 holds under a condition, 1 false as printed, 1 false, 1 reported, "
        "1 failed."
    )


def test_terminal_table_in_colour() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    rows = tables.rows(records(), CLAIMS, {})
    out = Terminal()
    tables.print_verdicts(rows, {}, out, 120)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert plain == tables.plain_text(rows, {}, 120)


def test_counts_are_of_all_rows() -> None:
    counted = tables.counts(tables.rows(records(), CLAIMS, {"D2": "no"}))
    assert counted == {**dict.fromkeys(map(str, VERDICTS.values()), 1), "failed": 1}
    assert tables.summary([]) == "No claim was run."


# The page


def test_page_is_self_contained(page: Page, folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    assert "http:" not in text
    assert "https:" not in text
    assert "url(" not in text
    for attributes in (found for _, found in page.tags):
        for name in ("src", "href", "srcset", "data", "action"):
            value = attributes.get(name) or ""
            assert value.startswith(("#", "data:")) or not value
    (picture,) = page.of("img")
    svg = base64.b64decode((picture["src"] or "").partition("base64,")[2])
    assert ElementTree.fromstring(svg).tag.endswith("svg")


def test_page_links_to_what_is_there(page: Page) -> None:
    ids = [found["id"] for _, found in page.tags if "id" in found]
    assert len(ids) == len(set(ids))
    targets = {(found.get("href") or "")[1:] for found in page.of("a", "use")}
    assert targets <= set(ids)
    assert {*CHECKS, "figure-figure-3"} <= targets
    for _, found in page.tags:
        for name in ("aria-labelledby", "for"):
            assert found.get(name) in {None, *ids}


def test_page_is_accessible(page: Page) -> None:
    names = {tag for tag, _ in page.tags}
    assert {"header", "main", "nav", "footer", "article", "figure", "figcaption"} <= names
    assert page.of("html")[0]["lang"] == "en"
    assert all(found.get("scope") in ("row", "col") for found in page.of("th"))
    assert all(found.get("alt") for found in page.of("img"))
    filters = [found for found in page.of("button") if found["type"] == "button"]
    assert len(filters) == 6 + 4
    assert all(found["aria-pressed"] == "false" for found in filters)
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))


def test_page_is_readable_without_script(page: Page) -> None:
    hidden = [tag for tag, found in page.tags if "hidden" in found]
    assert hidden == ["form"]
    assert "details" not in {tag for tag, _ in page.tags}


def test_page_shows_every_part_of_a_claim(page: Page) -> None:
    text = " ".join(page.text.split())
    assert "6 of 6" not in text
    assert "All 6 claims run, in the quick form" in text
    for verdict in VERDICTS.values():
        assert str(verdict) in text
    assert "[\N{MINUS SIGN}0.501, \N{MINUS SIGN}0.498]" in text
    assert "\N{MINUS SIGN}0.5 \u00b1 0.005" in text
    assert "at least 1.3" in text
    assert "exactly 3" not in text  # its run failed
    assert "no gate" in text
    assert "undefined" in text
    assert "\N{INFINITY}" in text
    assert "on the built-in problem" in text
    assert "As printed" in text
    assert "Recorded as holds; this run found false." in text
    assert "1 h 2 min" in text
    assert "commit 0123456789abcdef, with uncommitted changes" in text
    for one in ERRATA:
        assert one.where.split("$")[0] in text


def test_verdicts_have_a_shape_each(page: Page, folder: Path) -> None:
    text = (folder / "report.html").read_text(encoding="utf-8")
    shapes = dict(re.findall(r'<symbol id="mark-(\w+)" [^>]*>(.*?)</symbol>', text))
    kinds = ("holds", "conditional", "misprinted", "false", "reported", "failed")
    assert len({shapes[kind] for kind in kinds}) == len(kinds)
    used = {(found["href"] or "").removeprefix("#mark-") for found in page.of("use")}
    assert set(kinds) <= used


def test_nothing_is_unescaped(folder: Path, tmp_path: Path) -> None:
    claim = Claim(**{**vars(CLAIMS["A1"]), "title": HOSTILE, "source": HOSTILE,
                     "statement": HOSTILE, "printed": HOSTILE, "parameters": HOSTILE})  # fmt: skip
    found = records()["A1"]
    hostile = record("A1", Findings((report(HOSTILE, 1.0),), HOSTILE), seconds=1, quick=True,
                     data=HOSTILE, key="k")  # fmt: skip
    figure = PaperFigure(
        "f", HOSTILE, HOSTILE, ("A1",), HOSTILE, _draw, lambda _: f"{HOSTILE} {found.id}"
    )
    write_report(
        tmp_path,
        {"A1": hostile},
        {"A1": claim},
        {"f": figure},
        provenance(data=HOSTILE, platform={HOSTILE: HOSTILE}, versions={HOSTILE: HOSTILE},
                   failed={}, differing={"A1": (HOSTILE, HOSTILE)}),
    )  # fmt: skip
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in text
    assert text.count("<script>") == 1
    assert "alert('x')" in Page(text).text
    assert "<script>" not in (tmp_path / "appendix.tex").read_text()


def test_subset_and_failures(tmp_path: Path) -> None:
    def broken(_: Any) -> Figure:
        raise KeyError("no <b>array</b>")

    figures = {**FIGURES, "broken": PaperFigure("broken", "", "", ("A1",), "", broken, str)}
    some = {name: found for name, found in records().items() if name == "A1"}
    undrawn = write_report(tmp_path, some, CLAIMS, figures, provenance(failed={}, differing={}))
    assert list(undrawn) == ["broken"]
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "1 of 6 claims run" in " ".join(found.text.split())
    assert "broken: KeyError" in found.text
    assert found.of("img") == []
    assert [one["id"] for one in json.loads((tmp_path / "claims.json").read_text())] == ["A1"]


def test_all_failed(tmp_path: Path) -> None:
    write_report(tmp_path, {}, CLAIMS, FIGURES, provenance(differing={}))
    found = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert "1 of 6 claims run" in " ".join(found.text.split())
    assert "The run failed: ValueError" in found.text


def test_contrast_of_text() -> None:
    css = (files("lnn.claims.report") / "templates" / "claims.css").read_text()
    themes = [dict(re.findall(r"--(\w+): (#\w{6})", block))
              for block in re.findall(r":root \{(.*?)\}", css, re.S)[:2]]  # fmt: skip
    assert set(themes[0]) == set(themes[1])
    for theme in themes:
        for name in set(theme) - {"paper", "raised", "rule"}:
            for ground in ("paper", "raised"):
                assert _contrast(theme[name], theme[ground]) >= 4.5, (name, ground)


def _contrast(one: str, other: str) -> float:
    def luminance(color: str) -> float:
        parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


# Formulas and numbers


@given(st.text(alphabet="ab$ <&\\{_", max_size=20))
def test_segments_lose_nothing(text: str) -> None:
    parts = list(formulas.segments(text))
    assert "".join(part for _, part in parts).count("$") <= 1
    assert "".join(part for _, part in parts).replace("$", "") == text.replace("$", "")


@given(st.text(max_size=30))
def test_any_text_becomes_html(text: str) -> None:
    cleaned = text.replace("\x00", "").replace("\r", "")
    Page(f"<p>{formulas.html(cleaned)}</p>")


def test_wide_formulas_can_break() -> None:
    text = formulas.html(LONG)
    display = re.search(r'<span class="display">(.*?),</span>', text)
    assert display is not None
    pieces = [ElementTree.fromstring(piece) for piece in display[1].split("<wbr>")]
    # Before = and before the last minus, not before the first, which is a sign, nor in a bracket.
    assert len(pieces) == 3
    assert [piece[0][0].text for piece in pieces[1:]] == ["=", "\N{MINUS SIGN}"]
    whole = ElementTree.fromstring(formulas.mathml(LONG.split("$")[1]))
    assert "".join("".join(piece.itertext()) for piece in pieces) == "".join(whole.itertext())


@pytest.mark.parametrize("latex", [r"\frac{a}", r"\unknown x", "a & b", "{", r"x_"])
def test_broken_formulas_are_named_and_shown(latex: str) -> None:
    with pytest.raises(ValueError, match="formula"):
        formulas.mathml(latex)
    assert f"<code>{latex.replace('&', '&amp;')}</code>" in formulas.html(f"a ${latex}$.")
    assert r"\texttt{" in formulas.tex(f"a ${latex}$.")


@pytest.mark.parametrize(
    ("value", "plain", "page", "tex"),
    [
        (1e-8, "1e-08", "10<sup>\u22128</sup>", "$10^{-8}$"),
        (-2.5e9, "-2.5e+09", "\u22122.5\u00a0\u00d7\u00a010<sup>9</sup>", r"$-2.5\times 10^{9}$"),
        (-1e-12, "-1e-12", "\u221210<sup>\u221212</sup>", "$-10^{-12}$"),
        (-0.0, "0", "0", "$0$"),
        (0.123456, "0.1235", "0.1235", "$0.1235$"),
        (-math.inf, "-inf", "\u2212\u221e", r"$-\infty$"),
        (math.nan, "undefined", "undefined", "undefined"),
    ],
)
def test_numbers(value: float, plain: str, page: str, tex: str) -> None:
    assert formulas.number(value) == plain
    assert formulas.number_html(value) == page
    assert formulas.number_tex(value) == tex


def test_numbers_in_texts() -> None:
    text = "to 2.50e-10, -1e-8. but not x1e5, 1e5a or 0x1e5; 3e+06"
    assert formulas.html(text) == (
        "to 2.50\u00a0\u00d7\u00a010<sup>\u221210</sup>, \u221210<sup>\u22128</sup>. but not "
        "x1e5, 1e5a or 0x1e5; 3\u00a0\u00d7\u00a010<sup>6</sup>"
    )
    assert formulas.tex("at 2.5e-10") == r"at $2.5\times 10^{-10}$"


def test_closed_texts() -> None:
    assert formulas.closed("so $x$") == "so $x$."
    assert formulas.closed("so $x.$") == "so $x.$"
    assert formulas.closed("Is it?") == "Is it?"


# The texts of all claims


FIELDS = ("source", "title", "statement", "printed", "assumptions", "parameters", "rule")


def _texts() -> Iterator[tuple[str, str]]:
    for claim in all_claims().values():
        for name in (
            "source",
            "title",
            "statement",
            "printed",
            "assumptions",
            "parameters",
            "rule",
        ):
            yield f"{claim.id} {name}", getattr(claim, name)
    for figure in all_figures().values():
        for name in ("source", "title", "paper"):
            yield f"{figure.name} {name}", getattr(figure, name)
    for one in ERRATA:
        for name in ("where", "printed", "corrected"):
            yield f"{one.document}, {one.where}: {name}", getattr(one, name)
    for document in DOCUMENTS:
        yield document.letter, f"{document.authors} {document.title} {document.where}"
    yield "sources", " ".join(SOURCES.values())


def test_every_text_can_be_set() -> None:
    wrong = []
    for where, text in _texts():
        if not text.isascii() or text.count("$") % 2:
            wrong.append(f"{where}: not ASCII, or a dollar sign without a partner: {text}")
        for is_formula, part in formulas.segments(text):
            if not is_formula and re.search(r"[\\{}^]|\w_\w", part):
                wrong.append(f"{where}: TeX outside of a formula: {part}")
            if is_formula:
                try:
                    formulas.mathml(part)
                except ValueError as error:
                    wrong.append(f"{where}: {error}")
    assert not wrong, "\n".join(wrong)


# The appendix


def test_appendix_answers_the_checklist(folder: Path) -> None:
    text = (folder / "appendix.tex").read_text(encoding="ascii")
    for question in ("Data and splits", "Hyper-parameters", "Number of runs", "Error bars",
                     "Compute", "Seeds", "Versions"):  # fmt: skip
        assert rf"\item[{question}.]" in text
    assert "sha256:0123456789ab" in text
    assert "Failed runs" in text
    assert r"\includegraphics[width=\linewidth]{figures/figure-3.pdf}" in text


@pytest.mark.slow
@pytest.mark.parametrize("within_paper", [False, True])
def test_appendix_compiles(folder: Path, tmp_path: Path, within_paper: bool) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex here")
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    if within_paper:
        (tmp_path / "paper.tex").write_text(
            "\\documentclass{article}\n"
            "\\usepackage{amsmath,amssymb,booktabs,graphicx,longtable}\n"
            "\\begin{document}\nText.\n\\appendix\n\\input{appendix}\nMore text.\n\\end{document}\n"
        )
    _compile(tmp_path, "paper" if within_paper else "appendix")


@pytest.mark.slow
def test_every_text_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex here")
    body = "\n\n".join(formulas.tex(text) for _, text in _texts())
    (tmp_path / "texts.tex").write_text(
        "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\begin{document}\n"
        f"{body}\n\\end{{document}}\n"
    )
    _compile(tmp_path, "texts")


def _compile(folder: Path, name: str) -> None:
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", f"{name}.tex"],
        cwd=folder, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert (folder / f"{name}.pdf").is_file()
