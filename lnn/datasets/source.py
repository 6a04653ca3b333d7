"""A data file: taken from the cache, else downloaded once, checked and kept. Imports no JAX."""

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
    """Where and how to download a dataset, and what it must hold.

    Attributes:
        url: http(s) address; None for the one that an environment variable names, else the
            dataset's own.
        timeout: seconds of silence allowed, connecting and reading.
        attempts: tries before giving up.
        pause: seconds before the second try, doubled before each one after.
        expected: the content; None for that of the published dataset.
    """

    url: str | None = None
    timeout: float = 30.0
    attempts: int = 4
    pause: float = 1.0
    expected: E | None = None


def cache_folder() -> Path:
    """LNN_DATA if it is set, else this user's cache folder for lnn."""
    return Path(os.environ.get("LNN_DATA") or platformdirs.user_cache_dir("lnn"))


def obtain(
    url: str, path: str, source: Source[Any], read: Callable[[Path], T], *,
    name: str, limit: int, variable: str, otherwise: str,
    progress: Progress | None = None, convert: Callable[[Path], T] | None = None,
) -> T:  # fmt: skip
    """Return the content of a file, from the cache or downloaded.

    Args:
        url: its address.
        path: where it is kept in the cache folder.
        source: how patiently it is downloaded.
        read: returns the content of the cached file, or raises an error of any kind.
        name: what it is, for messages.
        limit: the most bytes accepted.
        variable: of the environment, that names another address; for messages.
        otherwise: what a user without a cache folder can do, for messages.
        progress: called as progress(done_bytes, total_bytes or None) during a download.
        convert: checks the downloaded file, replaces it by the one to keep and returns the content;
            by default the file is kept as `read` accepts it.

    Raises:
        DataError: the file cannot be downloaded, is not what it should be, or cannot be kept.

    Warns:
        UserWarning: the cached copy is damaged, and downloaded again.
    """
    cached = cache_folder() / path
    if os.path.isfile(cached):  # unlike Path.is_file, no error where the folder cannot be read
        try:
            return read(cached)
        except Exception as error:  # from bytes of any kind NumPy may raise any kind
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
                raise DataError(
                    f"what {url} sent is not {name} and is not kept: {reason}"
                ) from None
            finally:
                arrived.unlink(missing_ok=True)
    except OSError as error:
        raise DataError(
            f"cannot write to the cache folder {cached.parent}: {error.strerror or error}; set "
            f"LNN_DATA to a folder you can write to, or {otherwise}"
        ) from None
    return content
