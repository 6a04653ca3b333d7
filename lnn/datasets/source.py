"""A data file from the cache, or downloaded once, validated and cached. Imports no JAX."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import platformdirs

from lnn.core.errors import DataError, one_line
from lnn.datasets.download import Progress, exclusive_name, fetch

E = TypeVar("E")
T = TypeVar("T")


@dataclass(frozen=True)
class Source(Generic[E]):
    """Download options of a dataset, and its expected content.

    Attributes:
        url: http(s) address; None for that of an environment variable or else the dataset's own.
        timeout: seconds without data, while connecting and reading.
        attempts: number of tries.
        pause: seconds before the second try, doubled before each further one.
        expected: the content; None for that of the published dataset.
    """

    url: str | None = None
    timeout: float = 30.0
    attempts: int = 4
    pause: float = 1.0
    expected: E | None = None


def cache_folder() -> Path:
    """Return LNN_DATA if set, else the user's cache folder of lnn."""
    return Path(os.environ.get("LNN_DATA") or platformdirs.user_cache_dir("lnn"))


def obtain(
    url: str, path: str, source: Source[Any], read: Callable[[Path], T], *,
    name: str, limit: int, variable: str, otherwise: str,
    progress: Progress | None = None, convert: Callable[[Path], T] | None = None,
) -> T:  # fmt: skip
    """Return the content of a file, from the cache or downloaded.

    `read` returns the content of the cached file at `path` in the cache folder, or raises any
    exception. `convert` validates a download, replaces it by the file to cache, and returns the
    content; by default it is cached if `read` accepts it. Messages use `name`, the environment
    `variable` for another address, and what to do `otherwise`, without a cache folder.

    Raises:
        DataError: the file cannot be downloaded, is invalid, or cannot be cached.

    Warns:
        UserWarning: the cached copy is damaged, and downloaded again.
    """
    cached = cache_folder() / path
    if os.path.isfile(cached):  # unlike Path.is_file, no error without permission
        try:
            return read(cached)
        except Exception as error:  # NumPy raises many kinds for damaged files
            reason = " ".join(str(error).split()).replace(str(cached), "it")
            text = f"the cached copy {cached} is damaged ({reason}); downloading it again"
            warnings.warn(one_line(text), stacklevel=4)
    try:
        cached.parent.mkdir(parents=True, exist_ok=True)
        with exclusive_name(cached.parent, f"{cached.name}.download") as arrived:
            fetch(
                url, arrived, limit=limit, timeout=source.timeout, attempts=source.attempts,
                pause=source.pause, progress=progress, variable=variable,
            )  # fmt: skip
            try:
                content = (convert or read)(arrived)
                arrived.replace(cached)
            except DataError as error:
                reason = str(error).replace(str(arrived), "the download")
                raise DataError(f"{url} did not send {name}; not cached: {reason}") from None
            finally:
                arrived.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot write to the cache folder {cached.parent}: {error.strerror or error}; set "
            f"LNN_DATA to a folder you can write to, or {otherwise}"
        ) from None
    return content
