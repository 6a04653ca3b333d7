"""The page that reports claims."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

from fake_claims import CHECKS, CLAIMS, HOSTILE, VERDICTS, Page, _draw, provenance, records

from lnn.claims.errata import ERRATA
from lnn.claims.figure import PaperFigure
from lnn.claims.record import record
from lnn.claims.report.page import slips
from lnn.claims.report.tables import ClaimRow
from lnn.claims.report.write import write_report
from lnn.results.verdict import Findings, Role, Verdict, at_most, report

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
    assert len(filters) == 7 + 5
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
    assert "7 claims: 6 made by documents, 1 by this project alone" in text
    assert "All 7 claims run, in the quick form" in text
    for verdict in {value for found in VERDICTS.values() for value in found.values()}:
        assert str(verdict) in text
    assert "false as printed review" in text
    assert "holds under a condition this project" in text
    assert "The document ran a recurrent network. The outcome for linear networks" in text
    assert text.count("The documents were read by machine") == 2
    assert "holds Arora et al. false as printed review" in text
    assert "as printed (review)" in text
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
    kinds = (*(verdict.name.lower() for verdict in Verdict), "failed")
    assert len({shapes[kind] for kind in kinds}) == len(kinds)
    used = {(found["href"] or "").removeprefix("#mark-") for found in page.of("use")}
    assert set(kinds) <= used


def test_nothing_is_unescaped(folder: Path, tmp_path: Path) -> None:
    texts = dict.fromkeys(("title", "source", "statement", "printed", "parameters"), HOSTILE)
    claim = replace(CLAIMS["A1"], **texts)
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


def test_each_document_is_counted_and_filtered_by_itself(page: Page) -> None:
    judged = {row["data-judged"] for row in page.of("tr") if "data-judged" in row}
    assert judged == {
        "A:holds", "A:holds R:misprinted", "L:conditional", "C:false", "D:reported", "D:failed",
        "D:analogue",
    }  # fmt: skip
    buttons = {found.get("data-document") for found in page.of("button")} - {None}
    assert buttons == set("ARCDL")
    tally = page.text[: page.text.index("Verdicts by document")]
    assert "holds under a condition" not in tally, "this project's own statements count apart"


def test_misprints_with_one_cause_are_told_as_one() -> None:
    slip = "a factor is missing"
    rows = [
        ClaimRow(
            replace(CLAIMS["C1"], id=name, documents="C", slip=text),
            record(
                name,
                Findings((at_most("x", 0, 1), at_most("y", 2, 1, Role.PRINTED)), "w"),
                seconds=1, quick=True, data="", key="k",
            ),
        )
        for name, text in (("C1", slip), ("C2", slip), ("C3", ""))
    ]  # fmt: skip
    assert slips(rows) == [
        "In 2 of the 3 claims of document C that are false as printed one slip is a cause: "
        "a factor is missing."
    ]
    (told,) = slips(rows[:2])
    assert told.startswith("In all 2 claims of document C")
    assert slips(rows[1:]) == []


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
