"""The texts of all claims can be set, on a page and in LaTeX."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from fake_claims import compile_tex

from lnn.claims import DOCUMENTS, all_claims, all_figures
from lnn.claims.errata import ERRATA
from lnn.results import formulas

FIELDS = (
    *("source", "title", "statement", "printed", "assumptions", "parameters", "rule"),
    *("slip", "analogue", "varies"),
)


def _texts() -> Iterator[tuple[str, str]]:
    for claim in all_claims().values():
        for name in FIELDS:
            yield f"{claim.id} {name}", getattr(claim, name)
    for figure in all_figures().values():
        for name in ("source", "title", "paper"):
            yield f"{figure.name} {name}", getattr(figure, name)
    for one in ERRATA:
        for name in ("where", "printed", "corrected"):
            yield f"{one.document}, {one.where}: {name}", getattr(one, name)
    for document in DOCUMENTS:
        yield document.letter, f"{document.name} {document.cited}"


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


@pytest.mark.slow
def test_every_text_compiles(tmp_path: Path) -> None:
    if shutil.which("pdflatex") is None:
        pytest.skip("no pdflatex here")
    body = "\n\n".join(formulas.tex(text) for _, text in _texts())
    (tmp_path / "texts.tex").write_text(
        "\\documentclass{article}\n\\usepackage{amsmath,amssymb}\n\\begin{document}\n"
        f"{body}\n\\end{{document}}\n"
    )
    compile_tex(tmp_path, "texts")
