"""The appendix on claims, in LaTeX."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from fake_claims import compile_tex

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
    compile_tex(tmp_path, "paper" if within_paper else "appendix")
