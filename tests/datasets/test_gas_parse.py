"""UCI's lines and CSV tables: what is read, and which line is wrong."""

from __future__ import annotations

import gzip
import time

import numpy as np
import pytest
from fake_gas import FEATURES, csv_text, dat, fields, message, uci_line

from lnn.datasets import gas_archive, gas_parse
from lnn.datasets.gas_regression import gas_drift as load
from lnn.datasets.gas_table import load_table
from lnn.datasets.tables import cells


def test_lines_may_end_as_on_windows_and_be_blank(tmp_path):
    text = dat(3).replace("\n", "\r\n") + "\n \n"
    table = gas_parse.parse_batch(gas_archive.Batch(1, "batch1.dat", text.encode()))
    assert table.features.shape == (3, FEATURES)


@pytest.mark.parametrize("packed", [False, True])
def test_csv_of_one_gas(packed, tmp_path):
    path = tmp_path / ("data.csv.gz" if packed else "data.csv")
    data = ("\ufeff" + csv_text() + "\n").encode()
    path.write_bytes(gzip.compress(data) if packed else data)
    table = load_table(path)
    np.testing.assert_array_equal(table.features, [row[2] for row in fields(8)])
    assert table.names[0] == "x1"
    assert load(gas="acetone", path=path).name == "gas drift, acetone"
    message("does not say which gas each row is.*column `gas`", load, outputs="gases", path=path)


@pytest.mark.parametrize("gas", ["name", "id"])
def test_csv_of_several_gases(gas, tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(csv_text(12, gas))
    assert load(path=path).x.shape == (2, FEATURES)
    assert load(outputs="gases", path=path).y.shape == (12, 6)


def test_label_column(tmp_path):
    path = tmp_path / "data.csv"
    path.write_text(csv_text(label="ppm"))
    assert load(path=path, label_column="ppm").d == FEATURES
    text = message(
        "no column 'concentration_ppm'.*name the label with label_column", load, path=path
    )
    assert "ppm, x1, x2, x3, x4, x5, ... (129 in all)" in text


CSV_ERRORS = {
    "empty": ("", r"data.csv is empty; give a table with a header"),
    "header only": ("concentration_ppm,a\n", r"has a header and no row"),
    "no feature": ("concentration_ppm\n1\n", r"no feature beside"),
    "twice": ("concentration_ppm,a,a\n1,2,3\n", r"line 1: two columns are called 'a'"),
    "no label": ("a,b\n1,2\n", r"no column 'concentration_ppm'; the columns are 'a, b'"),
    "columns": ("concentration_ppm,a\n1,2\n1,2,3\n", r"csv, line 3: 3 columns, the header has 2"),
    "text": ("concentration_ppm,a\n1,2\n3,high\n", r"line 3, column 'a': 'high' where a number"),
    "blank cell": (
        "concentration_ppm,a\n,2\n",
        r"1 cell is missing, in 'concentration_ppm' \(1\), first in line 2",
    ),
    "underscore": ("concentration_ppm,a\n1_0,2\n", r"line 2, column .*: '1_0' where a number"),
    "nan": (
        "concentration_ppm,a\n1,2\n\n1,nan\n",
        r"1 cell is missing, in 'a' \(1\), first in line 4",
    ),
    "inf": ("concentration_ppm,a\n-inf,2\n", r"line 2: column 'concentration_ppm' is -inf"),
    "gas": (
        "concentration_ppm,a,gas\n1,2,helium\n",
        r"line 2: unknown gas 'helium': choose",
    ),
    "one row": (
        "concentration_ppm,a\n1,2\n",
        r"only one row of the concentration of ethanol; standardizing needs",
    ),
    "label": ("concentration_ppm,a\n5,2\n5,3\n", r"concentration of ethanol, is 5 in all 2 rows"),
    "all flat": ("concentration_ppm,a\n5,2\n6,2\n", r"csv: a constant in the 2 rows used"),
    "range": ("concentration_ppm,a\n5,1e308\n6,-1e308\n", r"too wide a range to be standardized"),
    "quote": (
        'concentration_ppm,a\n5,"' + "9" * 200_000 + '\n6,1"\n',
        r"line \d: (field larger|a cell of)",
    ),
    "other gas": (
        "concentration_ppm,a,gas\n1,2,3\n2,3,3\n",
        r"no rows of ethanol; it holds amm",
    ),
}


@pytest.mark.parametrize("case", CSV_ERRORS)
def test_bad_csv(case, tmp_path):
    text, match = CSV_ERRORS[case]
    path = tmp_path / "data.csv"
    path.write_text(text)
    assert str(path) in message(match, load, path=path)


def test_csv_that_is_not_text_or_not_gzip(tmp_path):
    path = tmp_path / "data.csv"
    path.write_bytes(b"concentration_ppm,a\n1,\xff\n")
    message(r"data.csv, line 2: not UTF-8 text \(byte 0xff\)", load, path=path)
    path = tmp_path / "data.csv.gz"
    path.write_bytes(b"concentration_ppm,a\n1,2\n")
    message(r"data.csv.gz is not a gzip file, or a damaged one", load, path=path)
    path.write_bytes(gzip.compress(csv_text().encode())[:-500])
    message(r"data.csv.gz is not a gzip file, or a damaged one", load, path=path)


def test_csv_limit_holds_after_unpacking(tmp_path, monkeypatch):
    monkeypatch.setattr(cells, "LIMIT", 1000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 100_000))
    message("holds more than 1000 bytes of text", load, path=path)


GOOD = uci_line(*fields(1)[0])
UCI_ERRORS = {
    "empty": ("", r"batch1.dat is empty"),
    "blank": (" \n\n", r"batch1.dat is empty"),
    "html": ("<!DOCTYPE html>\n", r"line 1: starts with '<!DOCTYPE'; a line should read `gas;ppm"),
    "gas": ("9" + GOOD[1:], r"line 1: unknown gas '9'; the gases are 1 to 6"),
    "gas text": ("CO" + GOOD[1:], r"line 1: unknown gas 'CO'"),
    "ppm": (GOOD.replace(";10.0", ";ten"), r"line 1, the concentration: 'ten00000' where a number"),
    "short": (GOOD[: GOOD.index("128:")], r"line 1: 127 features, 128 expected"),
    "long": (GOOD.rstrip() + " 129:1.0\n", r"line 1: 129 features, 128 expected"),
    "order": (GOOD.replace(" 3:", " 4:", 1), r"line 1: '4:.*' in place of feature 3"),
    "colon": (GOOD.replace(" 3:", " 3;", 1), r"line 1: '3;.*' in place of feature 3"),
    "text": (GOOD.replace(" 128:", " 128:x"), r"line 1, feature 128: 'x.*' where a number should"),
    "underscore": (GOOD.replace(" 128:", " 128:1_"), r"feature 128: '1_.*' where a number should"),
    "nan": (GOOD + GOOD.replace(" 2:", " 2:nan 2:").replace(
        f" 2:{fields(1)[0][2][1]:.6f}", "", 1), r"line 2: feature 2 is nan"),
    "inf": (GOOD.replace(";10.000000", ";inf"), r"line 1: the concentration is inf"),
    "glued": (GOOD.replace(" 1:", ":1:", 1), r"line 1"),
    "second line": (GOOD + "\n" + GOOD[:20], r"batch1.dat, line 3"),
}  # fmt: skip


@pytest.mark.parametrize("case", UCI_ERRORS)
def test_bad_line(case, tmp_path):
    text, match = UCI_ERRORS[case]
    (tmp_path / "batch1.dat").write_text(text)
    assert str(tmp_path / "batch1.dat") in message(match, load, path=tmp_path)


def test_colons_where_spaces_should_be_are_refused(tmp_path):
    # Splits into the same numbers as a good line.
    (tmp_path / "batch1.dat").write_text(GOOD.replace(" 2:", ":2:", 1))
    message(r"line 1: 127 features, 128 expected", load, path=tmp_path)


def test_binary_is_not_text(tmp_path):
    (tmp_path / "batch1.dat").write_bytes(GOOD.encode() + b"\xff\xfe")
    message(r"batch1.dat, line 2: not UTF-8 text \(byte 0xff\)", load, path=tmp_path)


@pytest.mark.parametrize("seconds", [3.0])
def test_the_size_of_the_real_data_is_read_quickly(seconds):
    data = (dat(500) * 28).encode()
    begin = time.process_time()
    table = gas_parse.parse_batch(gas_archive.Batch(1, "batch1.dat", data))
    assert table.features.shape == (14_000, FEATURES)
    assert time.process_time() - begin < seconds


def arff(rows: int, features: int) -> str:
    """Rows of gases 1 and 2 in turn, as public repositories hold the dataset."""
    lines = ["@relation gas"]
    lines += [f"@attribute V{i} numeric" for i in range(1, features + 1)]
    lines += ["@attribute Class {1,2,3,4,5,6}", "@data"]
    for row in range(rows):
        values = [10.0 * (1 + row // 2), *(row + i / 7 for i in range(features - 1))]
        lines.append(",".join(map(str, [*values, 1 + row % 2])))
    return "\n".join(lines) + "\n"


def test_the_public_arff_form_holds_the_gas_in_a_column(tmp_path):
    path = tmp_path / "gas.arff"
    path.write_text(arff(8, 129))
    table = load_table(path)
    np.testing.assert_array_equal(table.gas, [1, 2] * 4)
    np.testing.assert_array_equal(table.ppm, np.repeat([10.0, 20, 30, 40], 2))
    assert table.names == tuple(f"V{i}" for i in range(2, 130))
    assert load(path=path, gas="ethylene").x.shape == (4, 128)
    path.write_text(arff(8, 128))
    message(
        "holds gases and features but no concentrations.*different concentrations", load, path=path
    )
    path.write_text(arff(8, 20))
    message("no column 'concentration_ppm'", load, path=path)


def test_an_index_beside_the_columns_is_left_out_with_a_word(tmp_path):
    path = tmp_path / "gas.csv"
    path.write_text(",concentration_ppm,a\n0,1,2\n1,2,5\n2,4,6\n")
    with pytest.warns(UserWarning, match="the first column, which has no name and counts the rows"):
        assert load(path=path).d == 1
