"""Gas drift data from a folder, an archive, a table, the cache or a download, on small fixtures.

The real files, where they lie beside the repository, are read at the end.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
from fake_gas import ETHANOL, ROWS, SMALL, batches, dat, fields, message, real, zipped
from http_server import send, serving

from lnn.datasets.download import exclusive_name
from lnn.datasets.gas_regression import gas_drift as load
from lnn.datasets.gas_table import ExpectedRows, load_table
from lnn.datasets.source import Source, cache_folder


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


def test_partial_archive_warns(tmp_path, small):
    members = batches()
    del members["batch2.dat"]
    path = tmp_path / "part.zip"
    path.write_bytes(zipped(members))
    with pytest.warns(UserWarning, match=r"batch 2 \(of 3\) missing; 15 of 24 rows") as caught:
        problem = load(path=path, source=small)
    assert caught[0].filename == __file__
    assert problem.name == "gas drift, ethanol"


def test_path_that_is_not_there(tmp_path):
    message("nowhere.zip does not exist; give a folder", load, path=tmp_path / "nowhere.zip")


def test_one_batch_file_is_not_the_data(tmp_path):
    path = tmp_path / "batch1.dat"
    path.write_text(dat())
    message("is one batch; give the folder", load, path=path)


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
    message(r"batch2.dat has 8 rows, not 9: a truncated", load, **given(cut))
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
        (b"<!DOCTYPE html>", r"did not send UCI dataset 270; not cached: the download is not a"),
        (
            zipped({"batch1.dat": dat(7, 1)}),
            r"batches 2, 3 \(of 3\) missing; 7 of 24 rows.*not",
        ),
        (zipped({**batches(), "batch1.dat": dat(6, 1)}), r"batch1.dat has 6 rows, not"),
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


def test_expected_content_is_the_dataset():
    assert ExpectedRows().rows == 13910
    assert len(ExpectedRows().rows_of_batch) == 10


def test_real_exact_rows_agree_between_the_sources():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        table = load_table(real("gas_drift_8_of_10_batches.zip"))
    uci = table.features[table.gas == 1]
    csv = load_table(real("gas_ethanol.csv.gz")).features
    close = {row.tobytes() for row in csv}
    assert sum(row.tobytes() in close for row in uci) == len(uci) == 1316
