"""MNIST's files: read, downloaded, cached, and what is refused. The files here are made up."""

from __future__ import annotations

import gzip
import hashlib
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from http_server import Server, send, serving

from lnn.core.errors import DataError
from lnn.datasets import mnist
from lnn.datasets.mnist import ExpectedImages, load
from lnn.datasets.source import Source

ROWS = {"train": 24, "t10k": 5}
TINY = ExpectedImages(24, 5, {})


def made_up() -> dict[str, bytes]:
    rng = np.random.default_rng(0)
    found = {}
    for name in mnist._SHA256:
        rows = ROWS[name.split("-")[0]]
        if "images" in name:
            head, values = struct.pack(">IIII", 0x803, rows, 28, 28), rng.bytes(rows * 784)
        else:
            head = struct.pack(">II", 0x801, rows)
            values = rng.integers(0, 10, rows).astype(np.uint8).tobytes()
        found[name] = head + values
    return found


CONTENT = made_up()
IMAGES, LABELS = "train-images-idx3-ubyte", "train-labels-idx1-ubyte"


def write(folder: Path, packed: bool = True, **changed: bytes) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in (CONTENT | changed).items():
        if packed:
            (folder / f"{name}.gz").write_bytes(gzip.compress(content, mtime=0))
        else:
            (folder / name).write_bytes(content)
    return folder


def refused(told: str, path: Path | None, expected: ExpectedImages = TINY, **source: Any) -> None:
    with pytest.raises(DataError, match=told) as raised:
        load(path, source=Source(expected=expected, **source))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("packed", [True, False])
def test_a_folder(tmp_path: Path, packed: bool) -> None:
    found = load(write(tmp_path, packed), source=Source(expected=TINY))
    images = np.frombuffer(CONTENT[IMAGES][16:], np.uint8).reshape(24, 28, 28)
    labels = np.frombuffer(CONTENT[LABELS][8:], np.uint8)
    # The first twelfth is held out.
    np.testing.assert_array_equal(found.train, images[2:])
    np.testing.assert_array_equal(found.train_labels, labels[2:])
    assert found.test.shape == (5, 28, 28)
    assert found.test_labels.shape == (5,)
    other = load(write(tmp_path, packed, **{LABELS: CONTENT[LABELS][:-1] + b"\0"}),
                 source=Source(expected=TINY))  # fmt: skip
    assert (other.checksum == found.checksum) == (labels[-1] == 0)


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        (IMAGES, CONTENT[IMAGES][:-100], r"should hold 18832 bytes, but has 18732: cut or wrong"),
        (IMAGES, CONTENT[IMAGES] + b"x", r"should hold 18832 bytes, but has more"),
        (IMAGES, CONTENT[LABELS], r"does not begin as an idx file of images .*00000801"),
        (LABELS, CONTENT[IMAGES], r"does not begin as an idx file of labels"),
        (LABELS, b"", r"does not begin .*\(empty and not"),
        (LABELS, CONTENT[LABELS][:8] + b"\x0a" * 24, r"holds a label 10; there are 0 to 9"),
        (IMAGES, struct.pack(">IIII", 0x803, 24, 32, 32) + bytes(24 * 1024),
         r"says that it has shape \(24, 32, 32\), not \(24, 28, 28\)"),
        (IMAGES, CONTENT[IMAGES][:6], r"says that it has shape"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("packed", [True, False])
def test_what_is_refused(
    tmp_path: Path, name: str, content: bytes, told: str, packed: bool
) -> None:
    refused(f"{name}.*{told}.*get it again", write(tmp_path, packed, **{name: content}))


def test_damaged_and_missing(tmp_path: Path) -> None:
    write(tmp_path)
    file = tmp_path / f"{IMAGES}.gz"
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2])
    refused(f"{IMAGES}.gz is damaged or cut", tmp_path)
    file.write_bytes(whole[:200] + b"\xff" * 200 + whole[400:])
    refused(f"{IMAGES}.gz is damaged or cut|SHA", tmp_path)
    file.unlink()
    refused(f"holds no file {IMAGES} or {IMAGES}.gz; give a folder", tmp_path)
    refused("does not exist", tmp_path / "nowhere")
    refused("is not a folder", tmp_path / f"{LABELS}.gz")


def test_the_checksum_of_the_content_counts(tmp_path: Path) -> None:
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in CONTENT.items()}
    load(write(tmp_path), source=Source(expected=ExpectedImages(24, 5, sums)))
    other = {**sums, LABELS: "0" * 64}
    refused(f"{LABELS}.gz is not MNIST's: its SHA-256", tmp_path, ExpectedImages(24, 5, other))


def test_true_sums_are_of_all_four_files() -> None:
    assert all(re.fullmatch("[0-9a-f]{64}", value) for value in ExpectedImages().sha256.values())
    assert len(set(ExpectedImages().sha256.values())) == 4


# Download and cache.


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as served:
        yield served


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LNN_DATA", str(tmp_path / "cache"))
    return tmp_path / "cache" / "mnist"


def by_name(**changed: bytes) -> Any:
    def reply(handler: Any) -> None:
        name = handler.path.removeprefix("/data/").removesuffix(".gz")
        send(handler, gzip.compress((CONTENT | changed)[name], mtime=0))

    return reply


def source_of(server: Server) -> Source:
    url = server.url.replace("gas.zip", "data/")
    return Source(url, timeout=5, attempts=2, pause=0, expected=TINY)


def test_downloaded_once(server: Server, cache: Path) -> None:
    server.replies = [by_name()]
    first = load(source=source_of(server))
    assert len(server.seen) == 4
    second = load(source=source_of(server))
    assert len(server.seen) == 4
    assert first.checksum == second.checksum
    assert {path.name for path in cache.iterdir()} == {
        "download.lock", *(f"{name}.gz" for name in CONTENT)
    }  # fmt: skip


def test_the_variable_names_another_address(
    server: Server, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.replies = [by_name()]
    monkeypatch.setenv("LNN_MNIST_URL", source_of(server).url or "")
    load(source=Source(timeout=5, attempts=1, expected=TINY))
    assert len(server.seen) == 4


def test_a_damaged_cache_is_filled_again(server: Server, cache: Path) -> None:
    server.replies = [by_name()]
    whole = load(source=source_of(server))
    file = cache / f"{LABELS}.gz"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.warns(UserWarning, match=f"{LABELS}.gz is damaged .*[Dd]ownloading it again"):
        again = load(source=source_of(server))
    assert again.checksum == whole.checksum
    assert len(server.seen) == 5


def test_what_was_sent_wrongly_is_not_kept(server: Server, cache: Path) -> None:
    server.replies = [by_name(**{LABELS: CONTENT[IMAGES]})]
    with pytest.raises(
        DataError, match=r"http://.* did not send .*; not cached: the download does not begin"
    ):
        load(source=source_of(server))
    assert not (cache / f"{LABELS}.gz").exists()
    server.replies = [lambda handler: handler.start(404, Content_Length=0)]
    with pytest.raises(DataError, match=r"404.*LNN_MNIST_URL"):
        load(source=source_of(server))


def test_a_cache_folder_that_cannot_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("LNN_DATA", str(tmp_path / "file"))
    refused("cannot write to the cache folder .*set LNN_DATA", None, url="http://127.0.0.1:9/")
