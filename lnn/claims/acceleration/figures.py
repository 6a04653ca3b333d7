"""Figures of this document, remade from the claims' records."""

from __future__ import annotations

from lnn.claims.paper_figure import PaperFigure

FIGURES: tuple[PaperFigure, ...] = ()
