"""MNIST's four idx files, from a folder, the cache or a download, validated. Imports no JAX.

LeCun, Cortes and Burges, "The MNIST database of handwritten digits".
"""

from __future__ import annotations

import gzip
import hashlib
import os
import stat
import struct
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from lnn.core.errors import DataError
from lnn.datasets.download import Progress
from lnn.datasets.images import CLASSES, SIDE, Images
from lnn.datasets.source import Source, obtain

URL = "https://storage.googleapis.com/cvdf-datasets/mnist/"
_VARIABLE = "LNN_MNIST_URL"
_PACKED_LIMIT = 64 << 20
_IMAGES, _LABELS = 0x803, 0x801

_SHA256 = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}
"""Checksums of the uncompressed files."""


@dataclass(frozen=True)
class ExpectedImages:
    """Expected content: by default MNIST's, smaller in tests.

    Attributes:
        train, test: numbers of images.
        sha256: of the contents by file name; files without one are not checked.
    """

    train: int = 60000
    test: int = 10000
    sha256: Mapping[str, str] = field(default_factory=lambda: dict(_SHA256))


def load(
    path: str | os.PathLike[str] | None = None,
    *,
    source: Source[ExpectedImages] | None = None,
    progress: Progress | None = None,
) -> Images:
    """Load the images from `path`, the cache, or a download, which is cached.

    `path` is a folder with train-images-idx3-ubyte, train-labels-idx1-ubyte, and the same of t10k,
    each optionally gzipped (.gz).

    Raises:
        DataError: a file is unavailable or invalid; the message says which.

    Warns:
        UserWarning: a cached copy is damaged, and downloaded again.
    """
    source = source or Source()
    expected = source.expected or ExpectedImages()
    if path is None:
        found = {name: _obtained(name, source, expected, progress) for name in _SHA256}
    else:
        found = {name: _from_folder(name, path, expected) for name in _SHA256}
    images, labels, test, test_labels = (found[name] for name in _SHA256)
    held_out = len(images) // 12
    return Images(images[held_out:], labels[held_out:], test, test_labels)


def _from_folder(name: str, path: str | os.PathLike[str], expected: ExpectedImages) -> np.ndarray:
    try:
        folder = Path(path).expanduser()
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except (OSError, RuntimeError, ValueError):  # unknown home folder, or NUL in the name
        raise DataError(f"{path} does not exist; give a folder with MNIST's four files") from None
    if not is_folder:
        raise DataError(f"{path} is not a folder; give the folder that holds MNIST's four files")
    for place in (folder / name, folder / f"{name}.gz"):
        if os.path.isfile(place):  # unlike Path.is_file, no error without permission
            try:
                return _read(place, name, expected)
            except DataError as error:
                advice = "get it again, or give another folder (--data)"
                raise DataError(f"{error}; {advice}") from None
    raise DataError(f"{folder} holds no file {name} or {name}.gz; give a folder with all four")


def _obtained(
    name: str, source: Source[ExpectedImages], expected: ExpectedImages, progress: Progress | None
) -> np.ndarray:
    base = source.url or os.environ.get(_VARIABLE) or URL
    return obtain(
        f"{base.rstrip('/')}/{name}.gz", f"mnist/{name}.gz", source,
        lambda path: _read(path, name, expected), name=f"MNIST's {name}", limit=_PACKED_LIMIT,
        variable=_VARIABLE, otherwise="give a folder that has the files (--data)",
        progress=progress,
    )  # fmt: skip


def _read(place: Path, name: str, expected: ExpectedImages) -> np.ndarray:
    """Return the validated values of a file: images (n, 28, 28) or labels (n,), uint8."""
    rows = expected.train if name.startswith("train") else expected.test
    images = "images" in name
    shape = (rows, SIDE, SIDE) if images else (rows,)
    size = 4 * (len(shape) + 1) + int(np.prod(shape))
    try:
        with place.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            # One byte more than expected, since a small file can unpack without end.
            content = (gzip.GzipFile(fileobj=raw) if packed else raw).read(size + 1)
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{place} is damaged or cut ({error})") from None
    except OSError as error:
        raise DataError(f"cannot read {place}: {error.strerror or error}") from None
    head = struct.pack(f">{len(shape) + 1}I", _IMAGES if images else _LABELS, *shape)
    if content[:4] != head[:4]:
        what = "images" if images else "labels"
        raise DataError(
            f"{place} does not begin as an idx file of {what} does ({content[:4].hex() or 'empty'} "
            f"and not {head[:4].hex()})"
        )
    if content[: len(head)] != head:
        given = struct.unpack(
            f">{len(shape)}I", content[4 : len(head)].ljust(4 * len(shape), b"\0")
        )
        raise DataError(f"{place} says that it has shape {given}, not {shape}")
    if len(content) != size:
        much = "more" if len(content) > size else len(content)
        raise DataError(f"{place} should hold {size} bytes, but has {much}: cut or wrong")
    values = np.frombuffer(content, np.uint8, offset=len(head)).reshape(shape)
    if not images and values.max() >= CLASSES:
        raise DataError(f"{place} holds a label {values.max()}; there are 0 to 9")
    true = expected.sha256.get(name)
    if true is not None and hashlib.sha256(content).hexdigest() != true:
        raise DataError(f"{place} is not MNIST's: its SHA-256 is another")
    return values
