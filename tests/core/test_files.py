"""Files that are written completely or not at all."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from lnn.core import files


@dataclass(frozen=True)
class Found:
    values: np.ndarray
    seconds: float


def test_a_failed_write_leaves_the_file_before_it_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    with files.atomic(path) as file:
        file.write(b"whole")
    with pytest.raises(KeyError), files.atomic(path) as file:
        file.write(b"ha")
        assert path.read_bytes() == b"whole"
        raise KeyError
    assert path.read_bytes() == b"whole"
    assert list(tmp_path.iterdir()) == [path]


def test_a_record_comes_back_if_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    assert files.load_record(path, Found) is None
    files.save_record(path, Found(np.arange(3), 0.1))
    found = files.load_record(path, Found)
    assert found is not None
    np.testing.assert_array_equal(found.values, np.arange(3))
    assert type(found.seconds) is float
    assert found.seconds == 0.1
    files.save(path, {"values": np.arange(3)})
    assert files.load_record(path, Found) is None
    path.write_bytes(path.read_bytes()[:40])
    assert files.load_record(path, Found) is None


def test_plain_data_for_strict_json() -> None:
    values = (math.inf, -math.inf, math.nan, np.float32(2), np.array([3]))
    assert files.strict({"a": values}) == {"a": ["inf", "-inf", None, 2.0, 3]}
