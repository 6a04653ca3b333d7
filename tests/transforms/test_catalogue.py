"""The catalogue of methods: read from the rule files, without JAX, in the order that users know."""

from __future__ import annotations

import importlib
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

import lnn
from lnn.transforms.catalogue import (
    BASELINES,
    CATALOGUE,
    DEEP,
    DEFAULT_METHODS,
    DEPTH_ALONE,
    LAYERWISE,
    ONE_OUTPUT,
    inline_name,
    method_name,
)

ROOT = Path(lnn.__file__).parent


def test_orders_and_groups() -> None:
    baselines = ["gd", "momentum", "adagrad", "adadelta", "adam"]
    windows = ["momentum-all", "momentum-100", "momentum-10"]
    layerwise = ["layerwise-gd", "layerwise-adam"]
    deep = ["end-to-end", "single-output", "norm-factor", "projection", *windows, *layerwise]
    assert list(CATALOGUE) == list(lnn.METHODS) == [*baselines, *deep]
    assert [list(BASELINES), list(DEEP), list(LAYERWISE)] == [baselines, deep, layerwise]
    assert list(DEFAULT_METHODS) == [*baselines, "end-to-end", *layerwise]
    assert list(ONE_OUTPUT) == ["single-output", *windows]
    assert list(DEPTH_ALONE) == ["gd", "end-to-end", "single-output", "layerwise-gd"]


def test_what_is_read_is_what_python_makes_of_the_rule_files() -> None:
    declared = []
    for path in sorted((ROOT / "transforms").glob("*.py")):
        module = importlib.import_module(f"lnn.transforms.{path.stem}")
        declared += [replace(entry, module=path.stem) for entry in getattr(module, "ENTRIES", ())]
    assert len(declared) == len(CATALOGUE)
    assert {entry.name: entry for entry in declared} == CATALOGUE


RULE = '''
import optax

from lnn.transforms.catalogue import Entry

ENTRIES = (
    Entry(name="sign", title="Signs", family="baseline", build="sign", color="#123456"),
)


def sign() -> optax.GradientTransformation:
    """Signs of the gradient."""
    return optax.scale_by_sign()
'''

NO_JAX = """
import sys
from lnn.studies.compare.config import StudyConfig
from lnn.transforms.catalogue import BASELINES, method_name
StudyConfig(methods=("gd", "sign"))
assert BASELINES[-1] == "sign" and method_name("sign", 1) == "Signs"
assert not {"jax", "numpy"} & set(sys.modules)
from lnn.studies.compare.options import build_parser
assert "adadelta adam sign end-to-end" in " ".join(build_parser().format_help().split())
"""

WITH_JAX = """
import lnn
from lnn.studies.compare.report.styles import style
assert style("sign").color == "#123456"
assert list(lnn.METHODS)[5] == "sign"
assert lnn.make_method("sign").transformation.update(-2.0, None)[0] == -1
"""


@pytest.mark.slow
@pytest.mark.once
def test_a_new_rule_is_one_file_and_the_catalogue_needs_no_jax(tmp_path: Path) -> None:
    shutil.copytree(ROOT, tmp_path / "lnn", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "lnn" / "transforms" / "sign.py").write_text(RULE)
    for code in (NO_JAX, WITH_JAX):
        subprocess.run(
            [sys.executable, "-c", code], cwd=tmp_path, timeout=300, check=True,
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
        )  # fmt: skip


def test_names():
    assert method_name("end-to-end", 4.0) == "End-to-end rule, depth 4"
    assert method_name("gd", 1.0) == "GD"
    assert method_name("mine", 1.0) == "mine"
    assert inline_name("layerwise-adam", 4.0) == "Layerwise Adam at depth 4"
