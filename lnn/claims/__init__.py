"""Claims of five documents on depth, width and optimization, each checked by a run.

A claim states what a document says, runs or computes it, and derives the verdict from the numbers.
One package per document; documents that make the same claims share one.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import iter_modules
from string import ascii_lowercase

from lnn.claims.claim import OWN, Claim, Document
from lnn.claims.figure import PaperFigure

DOCUMENTS = (
    Document(
        "A",
        "Arora et al.",
        "S. Arora, N. Cohen and E. Hazan",
        "On the Optimization of Deep Networks: Implicit Acceleration by Overparameterization",
        "ICML 2018",
    ),
    Document(
        "R",
        "review",
        "K. Ava",
        "Literature Review of Optimization in Deep Networks: Implicit Acceleration by "
        "Overparameterization",
        "2024, a review of the paper by Arora et al.",
    ),
    Document(
        "B",
        "expansions",
        "Anonymous",
        "Network expansions modify loss landscape: the case of quadratic functions",
        "undated chapter",
    ),
    Document(
        "C",
        "Hou et al.",
        "C. Hou, H. Khandeparkar and G. Li",
        "Exploring the effect of depth on optimization",
        "final report of a course, undated",
    ),
    Document(
        "D",
        "width",
        "Anonymous",
        "Empirically Characterizing Overparameterization Impact on Convergence",
        "manuscript under double-blind review, undated",
    ),
    Document(
        OWN,
        "this project",
        "The authors of lnn",
        "Statements that no document makes",
        "conditions, limits and comparisons beside those of the documents",
    ),
)
"""The documents by letter, and this project's own statements; the review's are listed under A."""

_PACKAGES = {"A": "acceleration", "B": "expansions", "C": "rates", "D": "width"}


@cache
def all_claims() -> dict[str, Claim]:
    """Return every claim by id, in the order of the documents."""
    found = {
        claim.id: claim
        for package in _PACKAGES.values()
        for module in iter_modules(import_module(f"lnn.claims.{package}").__path__)
        if "figures" not in module.name
        for value in vars(import_module(f"lnn.claims.{package}.{module.name}")).values()
        for claim in (value if isinstance(value, tuple) else (value,))
        if isinstance(claim, Claim)
    }
    return {name: found[name] for name in sorted(found, key=_place)}


def _place(claim_id: str) -> tuple[str, int, str]:
    """Return letter, number and second letter of an id such as D17a, to sort by."""
    number = claim_id[1:].rstrip(ascii_lowercase)
    return claim_id[0], int(number), claim_id[1 + len(number) :]


@cache
def all_figures() -> dict[str, PaperFigure]:
    """Return every figure by name, in the order of the documents."""
    return {
        figure.name: figure
        for package in _PACKAGES.values()
        for figure in vars(import_module(f"lnn.claims.{package}.figures")).values()
        if isinstance(figure, PaperFigure)
    }
