"""Files made to harm: archives that lie, what is no file at all, and pickles, which never run.

Archives with unsafe paths, links, encryption, bombs, too many members or a zip alone inside are
in test_gas_drift.py.
"""

from __future__ import annotations

import ast
import gzip
import io
import json
import os
import pickle
import re
import stat
import struct
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from intake import BATCHES, CSV, SMALL, command, one_line, within, zipped

import lnn
from lnn.core.errors import DamagedError, DataError
from lnn.datasets import gas_table
from lnn.datasets.gas_regression import gas_drift
from lnn.execution import checkpoint
from lnn.studies.compare.command import main


def refused(tmp_path: Path, path: Path, match: str, seconds: float = 10) -> None:
    """Loader and command refuse the file in time, for this reason, in one line."""
    with within(seconds):
        with pytest.raises(DataError, match=match) as caught:
            gas_drift(path=path, source=SMALL)
        one_line(caught.value)
        code, told = command(tmp_path, "--data", str(path))
    assert code == 3
    assert re.search(match, told)


# Archives

WHOLE = zipped(*BATCHES)


def record(offset: int, form: str, value: int, data: bytes = WHOLE) -> bytes:
    """A zip whose directory says another value at an offset into the first member's record."""
    changed = bytearray(data)
    struct.pack_into(form, changed, data.find(b"PK\x01\x02") + offset, value)
    return bytes(changed)


def far_away() -> bytes:
    """A member that begins beyond every file offset."""
    extra = struct.pack("<HHQ", 1, 8, 2**63 + 5)
    numbers = (20, 20, 0, 0, 0, 33, 0, 10, 10, 10, len(extra), 0, 0, 0, 0, 2**32 - 1)
    entry = struct.pack("<4s6H3L5H2L", b"PK\x01\x02", *numbers) + b"batch1.dat" + extra
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, len(entry), 4, 0)
    return b"PK\x03\x04" + entry + end


def of_two_disks() -> bytes:
    at = WHOLE.find(b"PK\x05\x06")
    return WHOLE[:at] + struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 2) + WHOLE[at:]


SECOND_MEMBER = WHOLE.find(b"PK\x03\x04", 4)
ARCHIVES = {
    "strongly encrypted": (record(8, "<H", 1 << 6), "is damaged or"),
    "nested beside": (zipped(*BATCHES, ("x.ZIP", "")), r"holds another zip \('x.ZIP'\)"),
    "same name": (zipped(*BATCHES, ("batch1.dat", "x")), "holds batch 1 twice"),
    "lzma": (zipped(*BATCHES, how=zipfile.ZIP_LZMA), "neither stored nor deflated"),
    "bzip2": (zipped(*BATCHES, how=zipfile.ZIP_BZIP2), "neither stored nor deflated"),
    "packed size too small": (record(20, "<L", 5), "is damaged or"),
    "packed size too large": (record(20, "<L", 2**31), "members that overlap"),
    "size too large": (record(24, "<L", 10_000), "its size differs from the archive's entry"),
    "size of a bomb": (record(24, "<L", 2**32 - 2), "as a zip bomb does"),
    "elsewhere": (record(42, "<L", 2**31), "is damaged or"),
    "overlapping": (record(42, "<L", SECOND_MEMBER), "members that overlap"),
    "far away": (far_away(), "is damaged or"),
    "two disks": (of_two_disks(), "a damaged one"),
    "other version": (record(6, "<B", 255), "a damaged one"),
    "line break": (zipped(("a\n\x1b[2J/batch1.dat", "x")), r":a\\n\\x1b\[2J/batch1.dat, line 1"),
}


@pytest.mark.parametrize("case", ARCHIVES)
@pytest.mark.parametrize("name", ["x.zip", "x.csv"])
def test_archive_is_refused(case: str, name: str, tmp_path: Path) -> None:
    content, match = ARCHIVES[case]
    (tmp_path / name).write_bytes(content)
    refused(tmp_path, tmp_path / name, match)
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_archive_without_fault_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(WHOLE)
    assert command(tmp_path, "--data", str(tmp_path / "x.zip")) == (0, "")


@pytest.mark.slow
def test_huge_files_are_refused(tmp_path: Path) -> None:
    for name in ("x.zip", "batch1.dat"):  # a zip of this size may list millions of members
        (tmp_path / name).touch()
        os.truncate(tmp_path / name, 1 << 40)
    refused(tmp_path, tmp_path / "x.zip", "is larger than 67108864 bytes")
    refused(tmp_path, tmp_path, "hold more than 268435456 bytes", 30)
    (tmp_path / "x.csv.gz").write_bytes(gzip.compress(b"0" * (1 << 20)) * 300)
    refused(tmp_path, tmp_path / "x.csv.gz", "holds more than 268435456 bytes of text", 30)


# What is no file

SPECIAL: dict[str, tuple[Callable[[Path], Any], str]] = {
    "pipe": (os.mkfifo, "is a folder, a pipe or a device"),
    "folder": (os.mkdir, "holds no batchN.dat"),
    "device": (
        lambda path: os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 5)),
        "is a folder, a pipe or a device",
    ),
    "link to a device": (
        lambda path: path.symlink_to("/dev/zero"),
        "is a folder, a pipe or a device",
    ),
    "link to nothing": (lambda path: path.symlink_to("nothing"), "does not exist"),
    "link to itself": (lambda path: path.symlink_to(path), "cannot read .*symbolic links"),
    "link to a file": (lambda path: path.symlink_to(__file__), "x.csv(, line|: no column)"),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_batches_and_tables_must_be_files(case: str, tmp_path: Path) -> None:
    make, match = SPECIAL[case]
    try:
        make(tmp_path / "x.csv")
    except PermissionError:
        pytest.skip("only root may make a device")
    refused(tmp_path, tmp_path / "x.csv", match)
    (tmp_path / "data").mkdir()
    make(tmp_path / "data" / "batch1.dat")
    in_folder = {
        "link to nothing": "No such file",
        "link to itself": "symbolic links",
        "link to a file": "line 1",  # a link to a batch is as good as the batch
    }
    refused(tmp_path, tmp_path / "data", in_folder.get(case, "batch1.dat: not a regular file"))


def test_an_open_pipe_is_not_a_file(tmp_path: Path) -> None:
    reading, writing = os.pipe()  # what a shell makes of <(command)
    with open(reading, "rb"), open(writing, "wb"):
        refused(tmp_path, Path(f"/dev/fd/{reading}"), "is a folder, a pipe or a device")


def test_a_cache_that_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gas_drift").mkdir()
    os.mkfifo(tmp_path / "gas_drift" / "uci-270.npz")
    monkeypatch.delenv("LNN_GAS_URL", raising=False)
    for folder, match in (
        (tmp_path, "could not download"),
        (tmp_path / ("n" * 300), "set LNN_DATA"),
    ):
        monkeypatch.setenv("LNN_DATA", str(folder))
        with within(10):
            code, told = command(tmp_path, "--data", "gas-drift")
        assert code == 3
        assert match in told


# Nothing is ever unpickled


class Payload:
    """Makes a folder when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = str(trace)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.trace,)


@pytest.fixture
def payload(tmp_path: Path) -> Iterator[Payload]:
    """What would run, and must not."""
    thing = Payload(tmp_path / "unpickled")
    pickle.loads(pickle.dumps(thing))
    os.rmdir(thing.trace)
    yield thing
    assert not os.path.exists(thing.trace), "a payload was unpickled"


def saved(**arrays: Any) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


@pytest.mark.parametrize(
    "place", ["none", "gas", "ppm", "features", "real", "file", "npy", "member"]
)
def test_cache_is_not_unpickled(
    place: str, payload: Payload, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LNN_DATA", str(tmp_path))
    monkeypatch.delenv("LNN_GAS_URL", raising=False)
    (tmp_path / "x.zip").write_bytes(WHOLE)
    table = gas_table.load_table(tmp_path / "x.zip", source=SMALL)
    arrays = {name: getattr(table, name) for name in ("gas", "ppm", "features")}
    trap = np.array([payload], object)
    content = saved(**{**arrays, place: trap} if place in arrays else arrays)
    if place == "real":  # the same numbers, of another type
        content = saved(**{**arrays, "gas": table.gas.astype(float)})
    elif place == "file":
        content = pickle.dumps(payload)
    elif place == "npy":
        buffer = io.BytesIO()
        np.save(buffer, trap)
        content = buffer.getvalue()
    elif place == "member":
        content = zipped(*((f"{name}.npy", pickle.dumps(payload)) for name in arrays))
    (tmp_path / "gas_drift").mkdir()
    (tmp_path / "gas_drift" / "uci-270.npz").write_bytes(content)
    code, told = command(tmp_path, "--data", "gas-drift")
    assert code == (0 if place == "none" else 3), told
    assert ("uci-270.npz is damaged (" in told) == (place != "none"), told


@pytest.mark.parametrize("kind", ["x.csv", "x.csv.gz", "x.npz", "x.pkl", "x.zip", "folder", "cell"])
def test_data_is_not_unpickled(kind: str, payload: Payload, tmp_path: Path) -> None:
    path, content = tmp_path / kind, pickle.dumps(payload, protocol=0 if kind == "cell" else None)
    if kind == "folder":
        path.mkdir()
        (path / "batch1.dat").write_bytes(content)
    elif kind == "cell":
        path.write_bytes(CSV.replace(b"1.5", b'"' + content.replace(b'"', b"'") + b'"'))
    elif kind == "x.npz":
        path.write_bytes(saved(concentration_ppm=np.array([payload], object)))
    elif kind == "x.zip":
        path.write_bytes(zipped(("batch1.dat", content), ("data.pkl", content)))
    else:
        path.write_bytes(gzip.compress(content) if kind.endswith("gz") else content)
    refused(tmp_path, path, re.escape(path.name))


@pytest.mark.parametrize("name", ["trajectories.nc", "manifest.json", "study.json"])
def test_studies_are_not_unpickled(name: str, payload: Payload, tmp_path: Path) -> None:
    for folder in (tmp_path / "x", tmp_path / "x.unfinished"):
        folder.mkdir()
        (folder / name).write_bytes(pickle.dumps(payload))
    with pytest.raises((ValueError, TypeError)):
        lnn.load(tmp_path / "x")
    assert main(["--data", "two-point", "--out", str(tmp_path), "--name", "x"]) == 2


@pytest.mark.parametrize("name", ["about.json", "arrays.npz", "object"])
def test_checkpoints_are_not_unpickled(name: str, payload: Payload, tmp_path: Path) -> None:
    checkpoint.write(tmp_path / "c", {"a": np.arange(3.0)}, {})
    trap = saved(a=np.array([payload], object)) if name == "object" else pickle.dumps(payload)
    (tmp_path / "c" / name.replace("object", "arrays.npz")).write_bytes(trap)
    sums = json.dumps(checkpoint.checksums(tmp_path / "c"))  # as one would who means harm
    (tmp_path / "c" / checkpoint.CHECKSUMS).write_text(sums)
    with pytest.raises(DamagedError, match="cannot be read"):
        checkpoint.read(tmp_path / "c")


MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "shelve", "marshal"}
CALLS = {"eval", "exec", "compile", "__import__", "yaml.load", "torch.load", "pd.read_pickle"}


def dangers(source: str) -> list[str]:
    """What in a module could run what it reads."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names]
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [name for name in names if name.split(".")[0] in MODULES]
        elif isinstance(node, ast.Call):
            name, words = ast.unparse(node.func), [ast.unparse(word) for word in node.keywords]
            unsafe = name in ("np.load", "numpy.load") and "allow_pickle=False" not in words
            found += [name] * (unsafe or name in CALLS or "allow_pickle=True" in words)
    return found


@pytest.mark.parametrize(
    "source",
    [
        "import pickle", "from dill import load", "import a, joblib.x", "def f():\n import shelve",
        "eval('1')", "exec(text)", "__import__(name)", "np.load(file)", "numpy.load(file)",
        "np.load(file, allow_pickle=True)", "np.save(f, a, allow_pickle=True)", "yaml.load(text)",
    ],
)  # fmt: skip
def test_dangers_are_seen(source: str) -> None:
    assert dangers(source)
    assert not dangers("import json\nnp.load(file, allow_pickle=False)\nmodel.compile()")


def test_no_module_can_run_what_it_reads() -> None:
    files = sorted(Path(lnn.__file__).parent.rglob("*.py"))
    assert len(files) > 30
    found = {path.name: dangers(path.read_text(encoding="utf-8")) for path in files}
    assert {name: what for name, what in found.items() if what} == {}
