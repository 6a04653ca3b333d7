"""A small dataset like gas drift, as files."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest

from lnn.core.errors import DataError
from lnn.datasets.gas_table import GASES, ExpectedRows

FEATURES = 128
ROWS = {1: 7, 2: 9, 3: 8}
ETHANOL = 6  # rows of gas 1: two in each batch
SMALL = ExpectedRows(ROWS, FEATURES, {"ethanol": ETHANOL})


def fields(rows, seed=0):
    """`rows` rows of (gas, ppm, features); the gases in turn."""
    rng = np.random.default_rng(seed)
    return [
        (1 + i % 6, float(10 * (i + 1)), np.round(1e3 * rng.standard_normal(FEATURES), 6))
        for i in range(rows)
    ]


def uci_line(gas, ppm, values):
    return f"{gas};{ppm:.6f} " + " ".join(f"{i}:{v:.6f}" for i, v in enumerate(values, 1)) + " \n"


def dat(rows=6, seed=0):
    return "".join(uci_line(*row) for row in fields(rows, seed))


def batches(expected=SMALL):
    return {f"batch{n}.dat": dat(rows, n) for n, rows in expected.rows_of_batch.items()}


def zipped(members, folder="Dataset/"):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(f"{folder}{name}", text)
    return buffer.getvalue()


def message(match, call, *arguments, error=DataError, **options):
    """The call raises `error` with a text of one line that matches."""
    with pytest.raises(error, match=match) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def csv_text(rows=8, gas=None, label="concentration_ppm"):
    header = [label, *(f"x{i}" for i in range(1, FEATURES + 1))]
    lines = [[repr(ppm), *map(repr, values.tolist())] for _, ppm, values in fields(rows)]
    if gas == "name":
        lines = [[*line, GASES[row[0] - 1]] for line, row in zip(lines, fields(rows), strict=True)]
    elif gas == "id":
        lines = [[*line, str(row[0])] for line, row in zip(lines, fields(rows), strict=True)]
    header += ["gas"] * (gas is not None)
    return "\n".join(",".join(line) for line in [header, *lines]) + "\n"


SHARED = Path(os.environ.get("LNN_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


def real(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not in {SHARED} (set LNN_SHARED_DATA)")
    return path
