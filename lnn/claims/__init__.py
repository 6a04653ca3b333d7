"""Claims of five documents on depth, width and optimization, each checked by a run.

A claim states what a document says, runs or computes it, and derives the verdict from the numbers.
One package per document; documents that make the same claims share one.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from lnn.claims.claim import Claim, Document
from lnn.claims.figure import PaperFigure

DOCUMENTS = (
    Document(
        "A",
        "S. Arora, N. Cohen and E. Hazan",
        "On the Optimization of Deep Networks: Implicit Acceleration by Overparameterization",
        "ICML 2018; with it K. Ava, a literature review of the same paper, 2024",
    ),
    Document(
        "B",
        "Anonymous",
        "Network expansions modify loss landscape: the case of quadratic functions",
        "undated chapter",
    ),
    Document(
        "C",
        "C. Hou, H. Khandeparkar and G. Li",
        "Exploring the effect of depth on optimization",
        "final report of a course, undated",
    ),
    Document(
        "D",
        "Anonymous",
        "Empirically Characterizing Overparameterization Impact on Convergence",
        "manuscript under double-blind review, undated",
    ),
)
"""The documents, with the letter of their claims."""

_PACKAGES = {"A": "acceleration", "B": "expansions", "C": "rates", "D": "width"}


@cache
def all_claims() -> dict[str, Claim]:
    """Return every claim by id, in the order of the documents."""
    found = {
        value.id: value
        for package in _PACKAGES.values()
        for module in iter_modules(import_module(f"lnn.claims.{package}").__path__)
        if module.name != "figures"
        for value in vars(import_module(f"lnn.claims.{package}.{module.name}")).values()
        if isinstance(value, Claim)
    }
    return {name: found[name] for name in sorted(found, key=lambda i: (i[0], int(i[1:])))}


@cache
def all_figures() -> dict[str, PaperFigure]:
    """Return every figure by name, in the order of the documents."""
    return {
        figure.name: figure
        for package in _PACKAGES.values()
        for figure in vars(import_module(f"lnn.claims.{package}.figures")).values()
        if isinstance(figure, PaperFigure)
    }
