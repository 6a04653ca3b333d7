"""The gas drift data: formats, bad input, archives, cache and download, all on small fixtures.

The real files, where they lie beside the repository, are read at the end.
"""

import gzip
import io
import os
import stat
import subprocess
import sys
import time
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from http_server import send, serving

from lnn.core.errors import DataError
from lnn.datasets import gas_archive, gas_parse
from lnn.datasets.download import exclusive_name
from lnn.datasets.gas_regression import gas_drift as load
from lnn.datasets.gas_table import GASES, ExpectedRows, load_table
from lnn.datasets.source import Source, cache_folder

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


@pytest.fixture
def small():
    return Source(expected=SMALL, attempts=1, pause=0.0, timeout=5.0)


@pytest.fixture
def zip_path(tmp_path):
    path = tmp_path / "gas.zip"
    path.write_bytes(zipped(batches()))
    return path


def message(match, call, *arguments, error=DataError, **options):
    """The call raises `error` with a text of one line that matches."""
    with pytest.raises(error, match=match) as caught:
        call(*arguments, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Sources that are as they should be


@pytest.mark.parametrize("kind", ["folder", "Dataset", "zip", "deep zip"])
def test_folder_and_zip_hold_the_same(kind, tmp_path, small):
    if "zip" in kind:
        path = tmp_path / "gas.zip"
        path.write_bytes(zipped(batches(), "a/b/" if kind == "deep zip" else "Dataset/"))
    else:
        path = tmp_path
        inner = tmp_path / "Dataset" if kind == "Dataset" else tmp_path
        inner.mkdir(exist_ok=True)
        for name, text in batches().items():
            (inner / name).write_text(text)
        (inner / "notes.txt").write_text("not a batch")
    table = load_table(path, source=small)
    rows = [row for n, count in ROWS.items() for row in fields(count, n)]
    np.testing.assert_array_equal(table.gas, [row[0] for row in rows])
    np.testing.assert_array_equal(table.ppm, [row[1] for row in rows])
    np.testing.assert_array_equal(table.features, [row[2] for row in rows])


def test_lines_may_end_as_on_windows_and_be_blank(tmp_path):
    text = dat(3).replace("\n", "\r\n") + "\n \n"
    table = gas_parse.parse_batch(gas_archive.Batch(1, "batch1.dat", text.encode()))
    assert table.features.shape == (3, FEATURES)


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


def test_partial_archive_warns(tmp_path, small):
    members = batches()
    del members["batch2.dat"]
    path = tmp_path / "part.zip"
    path.write_bytes(zipped(members))
    with pytest.warns(UserWarning, match=r"batch 2 \(of 3\) missing; 15 of 24 rows") as caught:
        problem = load(path=path, source=small)
    assert caught[0].filename == __file__
    assert problem.name == "gas drift, ethanol"


# CSV


def csv_text(rows=8, gas=None, label="concentration_ppm"):
    header = [label, *(f"x{i}" for i in range(1, FEATURES + 1))]
    lines = [[repr(ppm), *map(repr, values.tolist())] for _, ppm, values in fields(rows)]
    if gas == "name":
        lines = [[*line, GASES[row[0] - 1]] for line, row in zip(lines, fields(rows), strict=True)]
    elif gas == "id":
        lines = [[*line, str(row[0])] for line, row in zip(lines, fields(rows), strict=True)]
    header += ["gas"] * (gas is not None)
    return "\n".join(",".join(line) for line in [header, *lines]) + "\n"


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
    text = message("line 1: no column 'concentration_ppm'", load, path=path)
    assert "ppm, x1, x2, x3, x4, x5, ... (129 in all)" in text


CSV_ERRORS = {
    "empty": ("", r"data.csv is empty; give a CSV with a header"),
    "header only": ("concentration_ppm,a\n", r"has a header and no row"),
    "no feature": ("concentration_ppm\n1\n", r"line 1: no feature beside"),
    "twice": ("concentration_ppm,a,a\n1,2,3\n", r"line 1: two columns are called 'a'"),
    "no label": ("a,b\n1,2\n", r"line 1: no column 'concentration_ppm'; the columns are 'a, b'"),
    "columns": ("concentration_ppm,a\n1,2\n1,2,3\n", r"csv, line 3: 3 columns, the header has 2"),
    "text": ("concentration_ppm,a\n1,2\n3,high\n", r"line 3, column 'a': 'high' where a number"),
    "blank cell": ("concentration_ppm,a\n,2\n", r"column 'concentration_ppm': '' where a number"),
    "underscore": ("concentration_ppm,a\n1_0,2\n", r"line 2, column .*: '1_0' where a number"),
    "nan": ("concentration_ppm,a\n1,2\n\n1,nan\n", r"line 4: column 'a' is nan; every value must"),
    "inf": ("concentration_ppm,a\n-inf,2\n", r"line 2: column 'concentration_ppm' is -inf"),
    "gas": (
        "concentration_ppm,a,gas\n1,2,helium\n",
        r"line 2: unknown gas 'helium': choose",
    ),
    "one row": ("concentration_ppm,a\n1,2\n", r"only one row of ethanol; standardizing needs"),
    "label": ("concentration_ppm,a\n5,2\n5,3\n", r"concentration of ethanol, is 5 in all 2 rows"),
    "all flat": ("concentration_ppm,a\n5,2\n6,2\n", r"csv: a constant in the 2 rows used"),
    "range": ("concentration_ppm,a\n5,1e308\n6,-1e308\n", r"too wide a range to be standardized"),
    "quote": ('concentration_ppm,a\n5,"' + "9" * 200_000 + '\n6,1"\n', r"line \d: field larger"),
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
    message(r"data.csv, line 2: not text \(byte 0xff\)", load, path=path)
    path = tmp_path / "data.csv.gz"
    path.write_bytes(b"concentration_ppm,a\n1,2\n")
    message(r"data.csv.gz is not a gzip file, or a damaged one", load, path=path)
    path.write_bytes(gzip.compress(csv_text().encode())[:-500])
    message(r"data.csv.gz is not a gzip file, or a damaged one", load, path=path)


def test_csv_limit_holds_after_unpacking(tmp_path, monkeypatch):
    monkeypatch.setattr(gas_parse, "_CSV_LIMIT", 1000)
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress(b"0" * 100_000))
    message("holds more than 1000 bytes of text", load, path=path)


# Constant features and missing gases


def constant_csv(tmp_path, count):
    path = tmp_path / "data.csv"
    names = [f"s{i}" for i in range(count)]
    lines = [f"concentration_ppm,free,{','.join(names)}"]
    lines += [f"{i},{i * i},{','.join(['0.1'] * count)}" for i in range(5)]
    path.write_text("\n".join(lines))
    return path


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


# UCI's format, line by line

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
    "order": (GOOD.replace(" 3:", " 4:", 1), r"line 1: '4:.*' stands where feature 3 should"),
    "colon": (GOOD.replace(" 3:", " 3;", 1), r"line 1: '3;.*' stands where feature 3 should"),
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
    message(r"batch1.dat, line 2: not text \(byte 0xff\)", load, path=tmp_path)


@pytest.mark.parametrize("seconds", [3.0])
def test_the_size_of_the_real_data_is_read_quickly(seconds):
    data = (dat(500) * 28).encode()
    begin = time.perf_counter()
    table = gas_parse.parse_batch(gas_archive.Batch(1, "batch1.dat", data))
    assert table.features.shape == (14_000, FEATURES)
    assert time.perf_counter() - begin < seconds


# Archives


def test_path_that_is_not_there(tmp_path):
    message("nowhere.zip does not exist; give a folder", load, path=tmp_path / "nowhere.zip")


def test_one_batch_file_is_not_the_data(tmp_path):
    path = tmp_path / "batch1.dat"
    path.write_text(dat())
    message("is one batch; give the folder", load, path=path)


def test_not_a_zip(tmp_path):
    path = tmp_path / "gas.zip"
    path.write_text("<html>")
    message("gas.zip is not a zip file, or a damaged one", load, path=path)


def test_folder_without_batches(tmp_path):
    message("holds no batchN.dat, and neither does .*Dataset; give the folder", load, path=tmp_path)


def test_errors_of_the_system_are_told(tmp_path, monkeypatch):
    (tmp_path / "batch1.dat").mkdir()
    message("cannot read .*batch1.dat: not a regular file", load, path=tmp_path)
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "a.zip").write_bytes(zipped(batches()))

    def denied(*_, **__):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", denied)
    message("cannot read .*a.csv: Permission denied", load, path=tmp_path / "a.csv")
    monkeypatch.setattr(Path, "iterdir", denied)
    message("cannot read the folder .*: Permission denied", load, path=tmp_path)
    monkeypatch.setattr(zipfile, "ZipFile", denied)
    message("cannot read .*a.zip: Permission denied", load, path=tmp_path / "a.zip")


def test_wrong_batches(tmp_path, small):
    def given(members):
        path = tmp_path / "gas.zip"
        path.write_bytes(zipped(members))
        return {"path": path, "source": small}

    cut = {**batches(), "batch2.dat": dat(8, 2)}
    message(r"batch2.dat has 8 rows, the dataset's has 9: a cut", load, **given(cut))
    extra = {**batches(), "batch4.dat": dat(8, 2)}
    message(r"no batch 4 in the dataset, only 3", load, **given(extra))
    twice = {**batches(), "copy/batch2.dat": dat(9, 2)}
    message(r"batch 2 twice \(Dataset/batch2.dat and Dataset/copy/b", load, **given(twice))
    other = {**batches(), "batch2.dat": dat(9, 2).replace("\n1;", "\n2;")}
    message(r"has \d Ethanol rows, the dataset has", load, **given(other))
    message(r"holds no batchN.dat \(it holds 'Dataset/a', 'Dataset/b', 'Dataset/c', ...\)",
            load, **given(dict.fromkeys("abcd", "")))  # fmt: skip
    message(r"holds no batchN.dat \(it holds nothing\)", load, **given({}))
    message(
        r"holds another zip \('Dataset/in.zip'\).*unpack it once", load, **given({"in.zip": ""})
    )


def crafted(tmp_path, name, data="x", **attributes):
    """A zip with one member whose record says what the attributes say."""
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        info = zipfile.ZipInfo("placeholder" if "\\" in name else name)
        info.compress_type = zipfile.ZIP_DEFLATED
        for key, value in attributes.items():
            setattr(info, key, value)
        archive.writestr(info, data)
        info.filename = name
    return path


@pytest.mark.parametrize(
    "name",
    ["/batch1.dat", "../batch1.dat", "a/../../batch1.dat", "C:/batch1.dat", "..\\batch1.dat"],
)
def test_unsafe_paths_are_refused(name, tmp_path):
    path = crafted(tmp_path, name)
    text = message("holds the unsafe path .*not opened", load, path=path)
    assert "batch1.dat" in text


def test_links_and_encrypted_members_are_refused(tmp_path):
    path = crafted(tmp_path, "batch1.dat", external_attr=(stat.S_IFLNK | 0o777) << 16)
    message("holds the symbolic link 'batch1.dat'", load, path=path)
    path.write_bytes(set_flag(zipped(batches()), 1))
    message("holds the encrypted member 'Dataset/batch1.dat'", load, path=path)


def set_flag(data, flag):
    """Set a general-purpose flag in every record of a zip's central directory."""
    data = bytearray(data)
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 8] |= flag
        at = data.find(b"PK\x01\x02", at + 1)
    return bytes(data)


def test_bombs_are_refused(tmp_path):
    path = crafted(tmp_path, "batch1.dat", data=b"0" * 10_000_000)
    message("unpacks to 10000000 bytes from .*as a zip bomb does", load, path=path)
    members = dict.fromkeys(("a", "b", "c"), "0" * 1000)
    path.write_bytes(zipped(members))

    def opened(**limits):
        return list(gas_archive.from_zip(path, gas_archive.Limits(**limits)))

    message("would unpack to 3000 bytes", opened, bytes_in_all=2000)
    message(r"holds 3 members \(at most 2 are accepted\)", opened, members=2)


def test_a_member_that_lies_about_its_size_is_damaged(tmp_path):
    text = dat()
    data = bytearray(zipped({"batch1.dat": text}))
    at = data.find(b"PK\x01\x02")
    data[at + 24 : at + 28] = (100).to_bytes(4, "little")
    path = tmp_path / "lie.zip"
    path.write_bytes(data)
    message("the member 'Dataset/batch1.dat' is damaged", load, path=path)


def test_a_flipped_byte_is_damage(zip_path):
    data = bytearray(zip_path.read_bytes())
    data[5000] ^= 0xFF
    zip_path.write_bytes(data)
    message("the member 'Dataset/batch1.dat' is damaged", load, path=zip_path)


def test_folder_limit(tmp_path):
    for name, text in batches().items():
        (tmp_path / name).write_text(text)

    def read():
        return list(gas_archive.from_folder(tmp_path, gas_archive.Limits(bytes_in_all=20_000)))

    message("hold more than 20000 bytes", read)


# Options


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


# Cache and download


@pytest.fixture
def cache(tmp_path, monkeypatch):
    folder = tmp_path / "cache"
    monkeypatch.setenv("LNN_DATA", str(folder))
    monkeypatch.delenv("LNN_GAS_URL", raising=False)
    return folder / "gas_drift"


@pytest.fixture
def server(monkeypatch, cache):
    with serving() as served:
        monkeypatch.setenv("LNN_GAS_URL", served.url)
        yield served


def kept(cache):
    return sorted(path.name for path in cache.iterdir())


def test_download_once_then_from_the_cache(server, cache, small):
    server.replies = [lambda h: send(h, zipped(batches()))]
    steps = []
    first = load(source=small, progress=lambda *step: steps.append(step))
    assert steps
    assert kept(cache) == ["download.lock", "uci-270.npz"]
    second = load(source=small)
    assert len(server.seen) == 1
    np.testing.assert_array_equal(first.x, second.x)
    np.testing.assert_array_equal(first.y, second.y)


def test_the_address_can_be_given(server, cache, monkeypatch):
    monkeypatch.setenv("LNN_GAS_URL", "http://127.0.0.1:1/")
    server.replies = [lambda h: send(h, zipped(batches()))]
    source = Source(server.url, 5.0, 1, 0.0, SMALL)
    assert load(source=source).m == ETHANOL


@pytest.mark.parametrize(
    ("body", "match"),
    [
        (b"<!DOCTYPE html>", r"sent is not UCI dataset 270 and is not kept: the download is not a"),
        (
            zipped({"batch1.dat": dat(7, 1)}),
            r"batches 2, 3 \(of 3\) missing; 7 of 24 rows.*not",
        ),
        (zipped({**batches(), "batch1.dat": dat(6, 1)}), r"batch1.dat has 6 rows, the dataset's"),
        (zipped({"readme": ""}), r"the download holds no batchN.dat"),
    ],
    ids=["html", "partial", "rows", "other"],
)
def test_what_fails_the_check_is_not_kept(body, match, server, cache, small):
    server.replies = [lambda h: send(h, body)]
    text = message(match, load, source=small)
    assert server.url in text
    assert kept(cache) == ["download.lock"]


def test_a_failed_download_is_a_data_error(server, cache, small):
    server.replies = [lambda h: h.start(404)]
    message("answered 404 Not Found", load, source=small)
    assert kept(cache) == ["download.lock"]


@pytest.mark.parametrize("damage", ["cut", "flip", "rows", "nan", "pickle", "keys"])
def test_a_damaged_cache_is_told_and_replaced(damage, server, cache, small, tmp_path):
    server.replies = [lambda h: send(h, zipped(batches()))]
    whole = load(source=small)
    file = cache / "uci-270.npz"
    good = file.read_bytes()
    table = load_table(source=small)
    if damage == "cut":
        file.write_bytes(good[:1000])
    elif damage == "flip":
        file.write_bytes(good[:9000] + bytes([good[9000] ^ 1]) + good[9001:])
    elif damage == "rows":
        np.savez(file, gas=table.gas[1:], ppm=table.ppm[1:], features=table.features[1:])
    elif damage == "nan":
        np.savez(file, gas=table.gas, ppm=table.ppm, features=table.features * np.nan)
    elif damage == "pickle":
        np.savez(file, gas=np.array([{}]), ppm=table.ppm, features=table.features)
    else:
        np.savez(file, gas=table.gas)
    with pytest.warns(UserWarning, match=r"uci-270.npz is damaged \(.*downloading it again"):
        again = load(source=small)
    np.testing.assert_array_equal(again.x, whole.x)
    assert len(server.seen) == 2
    assert file.stat().st_size == len(good)


def test_a_second_process_takes_a_name_of_its_own(cache):
    cache.mkdir(parents=True)
    name = "uci-270.zip"
    with exclusive_name(cache, name) as first, exclusive_name(cache, name) as second:
        assert first.name == "uci-270.zip"
        assert second.name == f"uci-270-{os.getpid()}.zip"
        second.with_name(f"{second.name}.part").touch()
        first.with_name(f"{first.name}.part").touch()
    assert kept(cache) == ["download.lock", "uci-270.zip.part"]


def test_a_cache_folder_that_cannot_be(tmp_path, monkeypatch, small):
    (tmp_path / "file").touch()
    monkeypatch.setenv("LNN_DATA", str(tmp_path / "file"))
    message("cannot write to the cache folder .*set LNN_DATA", load, source=small)


def test_without_the_variable_the_cache_is_the_users(monkeypatch):
    monkeypatch.delenv("LNN_DATA", raising=False)
    assert cache_folder().name == "lnn"


def test_reading_data_does_not_load_jax():
    code = "import lnn.datasets.gas_table, sys; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


# The real data

SHARED = Path(os.environ.get("LNN_SHARED_DATA", Path(__file__).parents[3] / "shared" / "data"))


def real(name):
    path = SHARED / name
    if not path.exists():
        pytest.skip(f"{name} is not in {SHARED} (set LNN_SHARED_DATA)")
    return path


def test_expected_content_is_the_dataset():
    assert ExpectedRows().rows == 13910
    assert len(ExpectedRows().rows_of_batch) == 10


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


def test_real_exact_rows_agree_between_the_sources():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = load_table(real("gas_drift_8_of_10_batches.zip"))
    uci = table.features[table.gas == 1]
    csv = load_table(real("gas_ethanol.csv.gz")).features
    close = {row.tobytes() for row in csv}
    assert sum(row.tobytes() in close for row in uci) == len(uci) == 1316
