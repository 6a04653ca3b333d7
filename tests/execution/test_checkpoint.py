"""A checkpoint is read as it was written, or known to be damaged."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lnn.core.errors import DamagedError, StoreError
from lnn.execution import checkpoint

DTYPES = (np.float32, np.float64, np.int32, np.int64)
ARRAYS = {
    "a/loss": np.array([[1.5, np.nan], [np.inf, -0.0]]),
    "a/state0": np.arange(6, dtype=np.float32).reshape(1, 2, 3),
    "a/status": np.array([0, 1], np.int32),
    "empty": np.empty((0, 4), np.float32),
}
NPY = (
    b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (), }".ljust(127)
    + b"\n"
    + bytes(8)
)
ABOUT = {"cells": [{"label": "gd"}], "seconds": 1.25}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    folder = tmp_path / "checkpoint-000001"
    checkpoint.write(folder, ARRAYS, ABOUT)
    return folder


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


def test_the_same_bits_come_back(saved: Path) -> None:
    arrays, about = checkpoint.read(saved)
    assert about == ABOUT
    assert arrays.keys() == ARRAYS.keys()
    for name, values in ARRAYS.items():
        assert arrays[name].dtype == values.dtype
        assert arrays[name].shape == values.shape
        assert arrays[name].tobytes() == values.tobytes()
    assert [path.name for path in saved.parent.iterdir()] == [saved.name]


@settings(max_examples=10)
@given(
    st.dictionaries(
        st.text("ab/0", min_size=1, max_size=6),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: hnp.arrays(dtype, hnp.array_shapes(min_dims=0, min_side=0, max_side=4))
        ),
        max_size=5,
    )
)
def test_any_arrays_come_back(tmp_path_factory: Any, arrays: dict[str, np.ndarray]) -> None:
    folder = tmp_path_factory.mktemp("any") / "one"
    checkpoint.write(folder, arrays, {})
    back, _ = checkpoint.read(folder)
    assert {k: v.tobytes() for k, v in back.items()} == {k: v.tobytes() for k, v in arrays.items()}
    assert {k: v.shape for k, v in back.items()} == {k: v.shape for k, v in arrays.items()}


@pytest.mark.parametrize("damage", ["flip", "cut", "remove"])
def test_damage_to_any_file_is_recognized_and_named(saved: Path, damage: str) -> None:
    for path in files(saved):
        name = path.relative_to(saved).as_posix()
        shutil.copytree(saved, saved.with_name("copy"))
        victim = saved.with_name("copy") / name
        content = bytearray(victim.read_bytes())
        if damage == "remove":
            victim.unlink()
        elif damage == "cut":
            victim.write_bytes(content[: len(content) // 2])
        else:
            content[len(content) // 2] ^= 1
            victim.write_bytes(content)
        with pytest.raises(DamagedError, match=r"^copy\b.*") as error:
            checkpoint.read(saved.with_name("copy"))
        # A changed list of checksums blames the file whose entry was hit.
        assert name in str(error.value) or path.name == checkpoint.CHECKSUMS
        shutil.rmtree(saved.with_name("copy"))
    checkpoint.read(saved)


@pytest.mark.parametrize("name", ["arrays.npz", "about.json"])
@pytest.mark.parametrize("content", [b"", b"PK\x05\x06", b"{", b"\x80\x04N.", NPY])
def test_what_makes_no_sense_is_damage_too(saved: Path, name: str, content: bytes) -> None:
    """Checksums vouch for bytes, not for sense: as from a program that writes otherwise."""
    (saved / name).write_bytes(content)
    (saved / checkpoint.CHECKSUMS).write_text(json.dumps(checkpoint.checksums(saved)))
    with pytest.raises(DamagedError, match="cannot be read"):
        checkpoint.read(saved)


def test_a_failure_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "commit", full)
    with pytest.raises(StoreError, match="one cannot be written: No space left on device"):
        checkpoint.write(tmp_path / "one", ARRAYS, ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_a_deleted_folder_is_not_made_again(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="the folder was deleted in the meantime"):
        checkpoint.write(tmp_path / "gone" / "one", ARRAYS, ABOUT)
    assert list(tmp_path.iterdir()) == []


def test_an_attempt_that_was_killed_does_not_stand_in_the_way(tmp_path: Path) -> None:
    (tmp_path / ".one.partial" / "arrays").mkdir(parents=True)
    (tmp_path / ".one.partial" / "arrays" / "half").write_text("x")
    checkpoint.write(tmp_path / "one", ARRAYS, ABOUT)
    assert [path.name for path in tmp_path.iterdir()] == ["one"]
    checkpoint.read(tmp_path / "one")
