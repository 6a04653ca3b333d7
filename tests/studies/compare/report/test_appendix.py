"""The appendix of a study, in LaTeX."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest
from fake_study import STUDIES

from lnn.results import provenance
from lnn.results.plotting import save
from lnn.studies.compare.report import appendix, figures
from lnn.studies.compare.summary import summarize


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
    assert r"(2nd and 8th of 9 seeds, 96.1 \% for the median) are order statistics" in text
    assert "lowest loss, judged by the worst of 3 tuning seeds. " in text
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
