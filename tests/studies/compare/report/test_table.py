"""The table of a study: plain text, terminal and HTML."""

from __future__ import annotations

import io
import re

import pytest
from fake_study import STUDIES, fake_study

from lnn.results import formatting
from lnn.studies.compare.report import table
from lnn.studies.compare.summary import summarize
from lnn.transforms.catalogue import rule_name


@pytest.mark.parametrize("width", [50, 80, 100, 140])
@pytest.mark.parametrize("name", STUDIES)
def test_plain_text_keeps_its_width(name, width):
    summary = summarize(STUDIES[name])
    text = table.plain_text(summary, width)
    assert text.isascii()
    assert max(map(len, text.splitlines())) <= width
    for row in summary.rows:
        assert rule_name(row.rule) in text
    assert " ".join(text.split()).endswith(summary.conclusion)


def test_at_100_columns_most_cells_are_one_line():
    text = table.plain_text(summarize(STUDIES["three"]), 100)
    assert re.search(r"^GD +[\d.]+ \[.*\] +[\d.]+ \[.*\] +\d+ \[.*\] +\d+ \[.*\]$", text, re.M)
    assert "(continued)" not in text


def test_table_marks():
    text = table.plain_text(summarize(STUDIES["eight"]), 100)
    assert "7/9" in text
    assert re.search(r"AdaDelta .* \^ ", text)
    assert re.search(r"GD .* v ", text)
    assert "<0." in text
    assert ">10k: not reached within 10000 steps" in text
    gd_free = table.plain_text(summarize(fake_study(("adam",))), 100)
    assert "tuned GD to" not in gd_free
    assert "One seed, so no band." in table.plain_text(summarize(STUDIES["one"]), 100)


def test_table_says_why_there_are_no_layerwise_methods():
    text = table.plain_text(summarize(fake_study(("gd", "end-to-end-1.5", "end-to-end-inf"))))
    assert "1.5, inf (not whole numbers, so no layerwise methods)" in text
    assert "whole number" not in table.plain_text(summarize(STUDIES["twelve"]))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("width", [60, 80, 120])
def test_terminal_shows_every_number(width, monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    summary = summarize(STUDIES["eight"])
    out = Terminal()
    table.print_summary(summary, out, width)
    text = re.sub(r"\x1b\[[0-9;]*m", "", out.getvalue())
    assert "\x1b[" in out.getvalue()
    assert "\N{HORIZONTAL ELLIPSIS}" not in text
    assert max(len(line.rstrip()) for line in text.splitlines()) <= width
    for row in summary.rows:
        assert formatting.compact(row.targets[0].steps.median) in text


def test_pipe_gets_plain_text(capsys):
    summary = summarize(STUDIES["three"])
    table.print_summary(summary)
    assert capsys.readouterr().out == table.plain_text(summary)


def test_html_is_escaped_and_complete():
    study = STUDIES["twelve"].assign_attrs(problem="<script>alert(1)</script>")
    html = summarize(study)._repr_html_()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
    assert html.count("<table") == html.count("</table>") == 4
    assert "Single-output rule" in html
    assert "http" not in html
