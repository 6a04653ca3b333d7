"""lnn.report: conclusions, tables, figure, appendix and manifest of made-up studies."""

from __future__ import annotations

import io
import json
import math
import re
import shutil
import subprocess
from pathlib import Path

import matplotlib
import pytest
from fake_study import EIGHT, SPEED, TWELVE, fake_study
from matplotlib.text import Text
from PIL import Image

from lnn.results import formatting, provenance
from lnn.results.formatting import speedup_text
from lnn.results.plotting import DPI, WIDTH, save
from lnn.studies.compare.report import appendix, figures, table
from lnn.studies.compare.report.wording import caption
from lnn.studies.compare.summary import summarize
from lnn.transforms.catalogue import inline_name, method_name, rule_name

STUDIES = {
    "eight": fake_study(diverging={"adam": 2, "momentum": 9}, edges={"adadelta": 1, "gd": -1}),
    "three": fake_study(("gd", "adam", "end-to-end-4")),
    "twelve": fake_study(TWELVE, speed={"gd": 0.1}, diverging={"adam": 3}, seeds=11),
    "nothing": fake_study(TWELVE, speed={name: 1e-4 * v for name, v in SPEED.items()}),
    "diverged": fake_study(("gd", "end-to-end-4"), diverging={"gd": 9, "end-to-end-4": 9}),
    "one": fake_study(("end-to-end-2",), seeds=1, targets=(0.1,)),
}


def said(labels, **options) -> str:
    text = summarize(fake_study(labels, **options)).conclusion
    assert text.endswith(".")
    assert not re.search(r"\bnan\b|\binf\b times|\.\.|  ", text)
    assert text.count(". ") == 0  # one sentence
    return text


TWO = ("gd", "end-to-end-4")


def test_depth_helps():
    text = said(TWO, speed={"gd": 1.0, "end-to-end-4": 3.0})
    assert text.startswith("The end-to-end rule at depth 4 is the fastest to a relative subopt")
    assert "depth helps here: the end-to-end rule at depth 4 is" in text
    assert "times as fast as tuned GD to 0.01" in text


def test_depth_does_not_help():
    text = said(TWO, speed={"gd": 3.0, "end-to-end-4": 1.0})
    assert text.startswith("GD is the fastest")
    assert "depth does not help here: the end-to-end rule at depth 4 is 0." in text


def test_no_clear_difference_when_the_band_holds_one():
    text = said(TWO, speed={"gd": 1.0, "end-to-end-4": 0.8}, wobble=0.4)
    assert "depth makes no clear difference here" in text
    assert "spacing" not in text


def test_no_clear_difference_within_the_spacing_of_rates():
    text = said(TWO, speed={"gd": 1.0, "end-to-end-4": 1.5}, spacing=5.0)
    assert "depth makes no clear difference here" in text
    assert "less than the spacing of the learning rates tried (a factor 5.00)" in text


def test_gd_missed():
    text = said(TWO, speed={"gd": 0.1, "end-to-end-4": 3.0})
    assert re.search(r"is more than [\d.]+ times \[>[\d.]+, >[\d.]+\] as fast as tuned GD", text)
    assert "which tuned GD does not reach on half of the seeds within 10000 steps" in text


def test_deep_missed():
    text = said(TWO, speed={"gd": 3.0, "end-to-end-4": 0.01})
    assert "depth does not help here: the end-to-end rule at depth 4 does not reach 0.01" in text
    assert "tuned GD does (median" in text


def test_hardest_target_that_any_reaches():
    text = said(TWO, speed={"gd": 0.05, "end-to-end-4": 0.06})
    assert "the hardest target reached" in text


def test_several_depths():
    text = said(TWELVE)
    assert "the best of 6 deep rules, the end-to-end rule at depth 2," in text
    assert "depths 1.5, 2, 4, inf differ by a factor" in text
    some = said(TWELVE, speed={"end-to-end-inf": 0.01})
    assert "that reach it differ by a factor" in some
    assert "depth inf misses it" in some


def test_nothing_reached():
    slow = {name: 1e-4 * value for name, value in SPEED.items()}
    text = said(EIGHT, speed=slow)
    assert "No method reaches even the easiest target, 0.3" in text
    assert "--steps" in text


def test_deep_and_gd_reach_nothing_but_adam_does():
    text = said(("gd", "adam", "end-to-end-4"), speed={"gd": 1e-4, "end-to-end-4": 1e-4})
    assert text.startswith("Adam is the fastest")
    assert "neither GD nor a deep rule reaches a target" in text


def test_everything_diverged():
    text = said(TWO, diverging={"gd": 9, "end-to-end-4": 9})
    assert text.startswith("Every reported run diverged")
    assert "--lr-range" in text


def test_only_baselines():
    assert "no deep method was run" in said(("gd", "adam"))
    assert "layerwise Adam also changes the optimizer" in said(("gd", "layerwise-adam-4"))


def test_without_gd():
    assert "add the method gd" in said(("adam", "end-to-end-2", "end-to-end-4"))
    lost = {"end-to-end-4": 1e-4}
    assert "GD was not run and no deep rule" in said(("adam", "end-to-end-4"), speed=lost)


def test_one_method():
    assert said(("adam",)).startswith("Adam reaches a relative suboptimality of 0.01 (median")


def test_edge_is_told():
    text = said(TWO, speed={"gd": 1.0, "end-to-end-4": 3.0}, edges={"end-to-end-4": 1})
    assert "the tuned rate of the end-to-end rule at depth 4 lies at an end" in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"), (1.0, "1.00"), (1234.0, "1230"), (9999.0, "10.0k"), (45_678, "45.7k"),
        (1e6, "1.00M"), (0.012345, "0.0123"), (1.2e-7, "1.20e-07"), (math.inf, "inf"),
        (math.nan, "-"), (99.96, "100"), (3e12, "3.00e+12"), (-math.inf, "-inf"),
    ],
)  # fmt: skip
def test_compact_numbers(value, text):
    assert formatting.compact(value) == text


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ((2.0, 2.0, 2.0), "2.00"),
        ((math.inf, 12.3, math.inf), ">12.3"),
        ((0.0, 0.0, 0.5), "<0.50"),
        ((0.0, 0.0, 0.031), "<0.031"),
        ((math.inf, 0.0, math.inf), "any"),
        ((0.0, 0.0, math.inf), "any"),
        ((math.nan, 0.0, math.inf), "-"),
    ],
)
def test_speedups_as_bounds(arguments, text):
    assert speedup_text(*arguments) == text


def test_names():
    assert method_name("end-to-end", 4.0) == "End-to-end rule, depth 4"
    assert method_name("gd", 1.0) == "GD"
    assert method_name("mine", 1.0) == "mine"
    assert inline_name("layerwise-adam", 4.0) == "Layerwise Adam at depth 4"


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


def test_a_rule_of_ones_own_and_many_methods():
    labels = tuple(f"own{i}" for i in range(30))
    study = fake_study(labels, speed=dict.fromkeys(labels, 1.0), seeds=2)
    fig = figures.figure(study, summarize(study))
    assert "AD" in [text.get_text() for text in fig.axes[1].texts]


def test_appendix_structure_and_escaping():
    study = STUDIES["eight"].assign_attrs(problem="my_data & 50% #1 {x} $y^2 ~ \\z \u221e\u00e9")
    summary = summarize(study)
    manifest = provenance.manifest({}, study, started=0.0, timings={"run": 61.4})
    text = appendix.appendix(study, summary, manifest)
    assert text == appendix.appendix(study, summary, manifest)
    assert text.isascii()
    assert r"my\_data \& 50\% \#1 \{x\} \$y$\wedge$2" in text
    assert r"\textbackslash{}z" in text
    for name in ("figure*", "table*", "tabular"):
        assert text.count(rf"\begin{{{name}}}") == text.count(rf"\end{{{name}}}") > 0
    assert text.count(r"\toprule") == text.count(r"\bottomrule") == 3
    assert "sha256:0123456789ab." in text
    assert "(56 diverged) on 2 x cpu, 61 s of wall time" in text
    assert "jaxlib" in text
    assert "order statistics over 9 seeds" in text
    body = re.sub(r"\\[{}]", "", text)
    assert body.count("{") == body.count("}")
    assert appendix.appendix(study, summary)


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="needs pdflatex")
@pytest.mark.parametrize("name", ["eight", "nothing", "one"])
def test_appendix_compiles(name, tmp_path):
    study = STUDIES[name].assign_attrs(problem="my_data & 50% #1 {x} $y^2 ~ \\z \u221e\u00e9 [1]")
    summary = summarize(study)
    save(figures.figure(study, summary), tmp_path)
    appendix.write(tmp_path / "appendix.tex", study, summary, {"wall_seconds": 3.0})
    (tmp_path / "main.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs,graphicx}"
        r"\begin{document}\input{appendix}\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout.decode(errors="replace")[-2000:]
    assert b"Overfull" not in done.stdout


def test_start_note_follows_the_scheme():
    study = STUDIES["three"].assign_attrs(init="near-zero", init_norm=math.nan)
    assert "different end-to-end matrices" in caption(summarize(study))
    assert "same end-to-end matrix" in caption(summarize(STUDIES["three"]))


def test_manifest(monkeypatch):
    config = {"depths": (4.0, math.inf), "name": None}
    found = provenance.manifest(
        config, STUDIES["eight"], started=0.0, timings={"run": 1.0, "report": 0.23456}
    )
    text = json.dumps(found, allow_nan=False)
    assert json.loads(text) == found
    assert found["config"] == {"depths": [4.0, "inf"], "name": None}
    assert found["started_utc"] == "1970-01-01T00:00:00+00:00"
    assert found["wall_seconds"] == 1.235
    assert found["timings"] == {"run": 1.0, "report": 0.235}
    assert {"python", "lnn", "jax", "jaxlib", "optax", "numpy", "scipy"} <= set(found["versions"])
    assert (found["runs"], found["diverged_runs"]) == (360, 56)
    assert str(Path.home()) + "/" not in text
    assert str(Path(provenance.__file__).parents[2]) not in text
    monkeypatch.setattr(provenance, "PACKAGES", ("no-such-package",))
    assert set(provenance.versions()) == {"python", "lnn"}


def test_git_state(tmp_path):
    if shutil.which("git") is None:
        pytest.skip("needs git")

    def git(*arguments):
        settings = ["-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false"]
        command = ["git", *settings, *arguments]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)

    package = tmp_path / "package"
    package.mkdir()
    assert provenance.git_state(package) is None
    git("init", "-q")
    (package / "__init__.py").write_text("")
    assert provenance.git_state(package) is None  # inside a checkout, but no part of it
    git("add", ".")
    git("commit", "-q", "--no-verify", "-m", "one")
    state = provenance.git_state(package)
    assert state is not None
    assert re.fullmatch(r"[0-9a-f]{40}", state["commit"])
    assert state["dirty"] is False
    (tmp_path / "elsewhere.txt").write_text("")
    assert provenance.git_state(package) == state
    (package / "new.py").write_text("")
    assert provenance.git_state(package) == state | {"dirty": True}
