"""Checks of what a user gives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lnn.core import checks
from lnn.core.checks import results_folder
from lnn.core.errors import StoreError


@pytest.mark.parametrize("value", [3, np.int64(3)])
def test_a_whole_number_is_an_int(value: Any) -> None:
    assert type(checks.check_whole("steps", value, 1)) is int


@pytest.mark.parametrize("value", [0, 10, 2.0, True, "3", None])
def test_what_is_no_whole_number_within_its_limits_is_told(value: Any) -> None:
    with pytest.raises(ValueError, match=rf"steps = {value!r}: give a whole number, 1 to 9"):
        checks.check_whole("steps", value, 1, 9)


@pytest.mark.parametrize("depth", [1, 2.75, math.inf])
def test_a_depth_is_a_float(depth: float) -> None:
    assert type(checks.check_depth(depth)) is float


@pytest.mark.parametrize("depth", [0.5, -math.inf, math.nan, True, "2", 10**400])
def test_what_is_no_depth_is_told(depth: Any) -> None:
    with pytest.raises(ValueError, match=r"depth = .*: a network has depth 1 or more"):
        checks.check_depth(depth)


def test_one_number_or_several_are_floats() -> None:
    assert checks.reals("rates", 1) == (1.0,)
    assert checks.reals("rates", [1, 0.5]) == (1.0, 0.5)
    assert checks.as_tuple("gd") == ("gd",)
    with pytest.raises(ValueError, match="rates = 'x': give a number"):
        checks.reals("rates", [1, "x"])


@pytest.mark.parametrize("name", ["", ".", "..", "a/b"])
def test_a_name_must_be_a_plain_folder_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="give a plain folder name"):
        results_folder(tmp_path, name)


def test_a_folder_may_be_there_or_not(tmp_path: Path) -> None:
    assert results_folder(tmp_path, "new") == tmp_path / "new"
    assert results_folder(tmp_path / "made" / "later", "new") == tmp_path / "made" / "later" / "new"
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="file is not a folder you can write to: choose another"):
        results_folder(tmp_path / "file", "new")
