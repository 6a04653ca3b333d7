"""The regression problem of the gas drift data: options, standardization, several outputs."""

from __future__ import annotations

import numpy as np
import pytest
from fake_gas import FEATURES, ROWS, csv_text, fields, message, real

from lnn.core.errors import DataError
from lnn.datasets.gas_regression import gas_drift as load
from lnn.datasets.gas_table import load_table


@pytest.mark.parametrize("gas", ["ethylene", "Ethylene", 2, "2"])
def test_one_gas(gas, zip_path, small):
    problem = load(2.0, gas=gas, path=zip_path, source=small)
    rows = [row for n, count in ROWS.items() for row in fields(count, n) if row[0] == 2]
    ppm = np.array([row[1] for row in rows])
    assert problem.x.shape == (len(rows), FEATURES)
    assert problem.name == "gas drift, ethylene"
    np.testing.assert_allclose(problem.y, (ppm - ppm.mean()) / ppm.std(), atol=1e-14)
    np.testing.assert_allclose(problem.x.mean(axis=0), 0, atol=1e-15)
    np.testing.assert_allclose(problem.x.std(axis=0), 1, rtol=1e-14)


def test_six_outputs(zip_path, small):
    problem = load(outputs="gases", path=str(zip_path), source=small)
    table = load_table(zip_path, source=small)
    assert problem.y.shape == (sum(ROWS.values()), 6)
    raw = np.where(table.gas[:, None] == np.arange(1, 7), table.ppm[:, None], 0.0)
    np.testing.assert_allclose(problem.y, (raw - raw.mean(axis=0)) / raw.std(axis=0), atol=1e-14)


def test_constant_features_are_named_or_dropped(tmp_path):
    path = constant_csv(tmp_path, 1)
    message(r"data.csv: s0 constant in the 5 rows used.*drop_constant=True", load, path=path)
    path = constant_csv(tmp_path, 5)
    message(r"s0, s1, s2 and 2 more constant", load, path=path)
    assert load(path=path, drop_constant=True).x.shape == (5, 1)


def test_all_features_constant(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text("concentration_ppm,a\n1,2\n3,2\n")
    message("every feature is constant", load, path=path, drop_constant=True)


def test_six_outputs_need_six_gases(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(csv_text(4, "id"))
    message("holds no rows of acetone, toluene; 6 outputs need", load, outputs="gases", path=path)


@pytest.mark.parametrize("gas", ["helium", 0, 7, "", True, "1.0"])
def test_unknown_gas(gas, tmp_path):
    text = message(f"unknown gas {gas!r}", load, gas=gas, path=tmp_path, error=ValueError)
    assert "1 ethanol, 2 ethylene" in text


@pytest.mark.parametrize("outputs", [2, "gas", True, None])
def test_other_outputs(outputs, tmp_path):
    message("choose 1 .* or 'gases'", load, outputs=outputs, path=tmp_path, error=ValueError)


def test_option_errors_come_before_any_data_and_are_not_data_errors():
    for options in ({"p": 1.0}, {"gas": "helium"}, {"outputs": 3}):
        with pytest.raises(ValueError, match=r"p = 1|helium|outputs") as caught:
            load(**options, path="/nowhere")
        assert not isinstance(caught.value, DataError)


def test_real_ethanol_rows():
    path = real("gas_ethanol.csv.gz")
    table = load_table(path)
    assert table.ppm.mean() == pytest.approx(114.95029, abs=5e-6)
    assert table.ppm.std() == pytest.approx(86.62060, abs=5e-6)
    problem = load(path=path)
    assert (problem.x.shape, problem.y.shape) == ((2565, 128), (2565,))
    values = np.linalg.eigvalsh(problem.x.T @ problem.x / 2565)
    assert values[-1] == pytest.approx(72.937, abs=5e-4)
    assert values[0] == pytest.approx(1.448e-8, rel=1e-3)
    assert np.mean(problem.y**2) / 2 == pytest.approx(0.5, abs=1e-14)
    assert np.mean(problem.y**4) / 4 == pytest.approx(1.39250, abs=5e-6)


def test_real_archive_with_eight_batches():
    path = real("gas_drift_8_of_10_batches.zip")
    for outputs, shapes in ((1, ((1316, 128), (1316,))), ("gases", ((6697, 128), (6697, 6)))):
        with pytest.warns(UserWarning, match=r"batches 7, 10 \(of 10\) missing; 6697 of 13910"):
            problem = load(outputs=outputs, path=path)
        assert (problem.x.shape, problem.y.shape) == shapes
        np.testing.assert_allclose(problem.y.std(axis=0), 1, rtol=1e-12)


def constant_csv(tmp_path, count):
    path = tmp_path / "data.csv"
    names = [f"s{i}" for i in range(count)]
    lines = [f"concentration_ppm,free,{','.join(names)}"]
    lines += [f"{i},{i * i},{','.join(['0.1'] * count)}" for i in range(5)]
    path.write_text("\n".join(lines))
    return path
