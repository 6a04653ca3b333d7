"""Problems from tables, and arrays of other libraries as problems."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import xarray as xr

import lnn
from lnn.datasets import table

ROWS = "price;area;city\n1,5;10;A\n2,5;20;B\n4,0;31;A\n8,5;39;B\n"


def test_a_table_is_standardized(tmp_path: Path) -> None:
    path = tmp_path / "rooms.csv"
    path.write_text(ROWS)
    problem = table(path, "price", 2, one_hot="city")
    assert (problem.name, problem.p, problem.x.shape) == ("rooms.csv, price", 2, (4, 2))
    for values in (problem.x, problem.y):
        np.testing.assert_allclose(values.mean(axis=0), 0, atol=1e-14)
        np.testing.assert_allclose(values.std(axis=0), 1, rtol=1e-13)
    price = np.array([1.5, 2.5, 4.0, 8.5])
    np.testing.assert_allclose(problem.y, (price - price.mean()) / price.std(), rtol=1e-13)


def test_what_is_left_out_is_said() -> None:
    frame = pd.DataFrame({"y": [1.0, 2, 3, np.nan], "a": [1.0, 4, 2, 8]})
    with pytest.warns(UserWarning, match="the table: 1 of 4 rows, with missing cells, are left"):
        assert table(frame, "y", drop_missing=True).m == 3
    with pytest.warns(UserWarning, match="the first column, which has no name and counts the rows"):
        assert table_of(",y,a\n0,1,2\n1,4,3\n").d == 1


def table_of(text: str, **options: Any) -> lnn.Problem:
    path = Path("t.csv")
    path.write_text(text)
    return table(path, "y", **options)


@pytest.fixture(autouse=True)
def in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("y,a\n1,2\n", "holds only one row of 'y'; standardizing needs at least two"),
        ("y,a,b\n1,2,3\n2,2,4\n", r"a constant in the 2 rows used.*drop_constant=True"),
        ("y,a\n1,2\n1,3\n", "the label, 'y', is 1 in all 2 rows used; there is nothing to learn"),
        ("y,a\n1,2\n2,3e400\n", "column 'a' is inf"),
    ],
)
def test_tables_that_cannot_be_standardized(text: str, message: str) -> None:
    with pytest.raises(lnn.datasets.DataError, match=message):
        table_of(text)


def test_constant_columns_are_dropped_on_request() -> None:
    assert table_of("y,a,b\n1,2,3\n2,2,4\n", drop_constant=True).d == 1


def test_arrays_of_other_libraries_are_problems() -> None:
    x, y = [[1, 2], [3, 4], [5, 7]], [1, 0, 2]
    plain = lnn.Problem(np.array(x, float), np.array(y, float), 2)
    for other_x, other_y in (
        (x, y), (pd.DataFrame(x), pd.Series(y)), (xr.DataArray(x), xr.DataArray(y)),
        (np.array(x), np.array(y)), (np.array(x, object), y),
    ):  # fmt: skip
        found = lnn.Problem(other_x, other_y, 2)
        assert found.x.dtype == found.y.dtype == np.float64
        np.testing.assert_array_equal(found.x, plain.x)
        np.testing.assert_array_equal(found.y, plain.y)


class Tensor:
    """What `Problem` needs of a tensor of PyTorch that requires a gradient."""

    dtype = "torch.bfloat16"

    def __init__(self, values: np.ndarray, ready: bool = False) -> None:
        self.values, self.ready = values, ready

    def detach(self) -> Tensor:
        return Tensor(self.values, ready=True)

    def cpu(self) -> Tensor:
        return self

    def float(self) -> Tensor:
        return self

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        if not self.ready:
            raise RuntimeError("Can't call numpy() on Tensor that requires grad.")
        return self.values


def test_tensors_with_gradients_are_problems() -> None:
    problem = lnn.Problem(Tensor(np.eye(2)), Tensor(np.ones(2)), 2)
    np.testing.assert_array_equal(problem.x, np.eye(2))


@pytest.mark.slow
def test_a_weight_vector_where_one_output_is_meant(x64: None) -> None:
    problem = lnn.datasets.two_point(3.0, 1.0)
    w = np.array([0.5, 0.25])
    assert problem.loss(w) == problem.loss(w[None])
    np.testing.assert_array_equal(problem.gradient(w), problem.gradient(w[None])[0])
    loss, gradient = problem.loss_and_gradient(w)
    assert (loss, gradient.shape) == (problem.loss(w), (2,))
    parts, same = (lnn.decompose(problem, v, 2, 0.01) for v in (w, w[None]))
    assert parts.decrease == same.decrease
    _, path = lnn.flow.end_to_end(problem, w, 2, [0.0, 0.1])
    np.testing.assert_array_equal(path, lnn.flow.end_to_end(problem, w[None], 2, [0.0, 0.1])[1])
    for wrong in (np.ones(3), np.ones((4, 2)), np.ones((2, 2))):
        with pytest.raises(ValueError, match=r"give matrices \(..., 1, 2\), or \(2,\)"):
            problem.loss(wrong)


def test_more_outputs_than_examples() -> None:
    """The items and properties of Saxe et al., 8 x 15."""
    y = np.random.default_rng(0).standard_normal((8, 15))
    problem = lnn.Problem(np.eye(8), y, 2)
    w, loss = lnn.reference_optimum(problem)
    np.testing.assert_allclose(w, y.T, atol=1e-9)
    assert loss == pytest.approx(0, abs=1e-20)
    run = lnn.simulate(problem, "gd", np.zeros((15, 8)), 1.0, 50)
    assert run.loss[-1] < run.loss[0]
