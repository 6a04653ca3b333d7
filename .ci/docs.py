"""Build the API documentation from docstrings: python .ci/docs.py FOLDER

`lnn` loads its names when first used, some from modules of other names; pdoc is shown them all.
Formulas between dollar signs become MathML, so that the pages need no network.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import warnings
from pathlib import Path
from pkgutil import ModuleInfo
from types import ModuleType
from typing import Any

os.environ["JAX_PLATFORMS"] = "cpu"

import jinja2
import pdoc

import lnn
from lnn.results.formulas import mathml

_FORMULA = re.compile(r"(\$\$?)(.+?)\1", re.DOTALL)
_OF_A_TUPLE = re.compile(r"(Alias for field number|Create new instance of) .*")
_formatted = inspect.formatannotation


def with_formulas(docstring: str) -> str:
    """The docstring with its formulas in MathML, those between double dollar signs as displays."""

    def shown(found: re.Match[str]) -> str:
        display = "inline" if found[1] == "$" else "block"
        return mathml(found[2]).replace("inline", display, 1)

    return _FORMULA.sub(shown, docstring)


def as_written(annotation: Any, *_: Any, **__: Any) -> str:
    """The annotation in the words of the source, such as Float[Array, "k d"]."""
    text = getattr(annotation, "__forward_arg__", annotation)
    return text if isinstance(text, str) else _formatted(annotation)


def public_modules(package: ModuleType) -> dict[str, ModuleInfo]:
    """The public modules of `lnn` by their public names; none of another package."""
    return {
        name: ModuleInfo(None, value.__name__, False)
        for name, value in vars(package).items()
        if package is lnn and name in lnn.__all__ and isinstance(value, ModuleType)
    }


def main(folder: str) -> None:
    """Write a page of `lnn` and of each of its public modules; a warning is an error."""
    warnings.simplefilter("error")
    for package in (lnn, lnn.datasets):
        vars(package).update({name: getattr(package, name) for name in package.__all__})
    told = pdoc.doc_ast.walk_tree(importlib.import_module(f"lnn.{lnn._HOME['METHODS']}"))
    pdoc.doc_ast.walk_tree(lnn).var_docstrings["METHODS"] = told.var_docstrings["METHODS"]
    to_markdown = pdoc.render.env.filters["to_markdown"]

    @jinja2.pass_context
    def converted(context: Any, docstring: str) -> str:
        shown = "" if _OF_A_TUPLE.fullmatch(docstring) else with_formulas(docstring)
        return str(to_markdown(context, shown))

    pdoc.render.env.filters["to_markdown"] = converted
    pdoc.render.configure(docformat="google")
    pdoc.extract.iter_modules2 = public_modules
    pdoc.doc.safe_eval_type = lambda annotation, *_: annotation
    pdoc.doc.resolve_annotations = lambda annotations, *_: annotations
    inspect.formatannotation = pdoc.doc.formatannotation = as_written
    pdoc.pdoc("lnn", output_directory=Path(folder))


if __name__ == "__main__":
    main(*sys.argv[1:])
