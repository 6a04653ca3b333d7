"""Download of one file over HTTP: time-outs, progress, size limit, resume by range, atomic rename.

Standard library only. A download grows in `NAME.part`; its version (ETag or Last-Modified) is noted
in `NAME.part.json`, and only that version is resumed. `NAME` appears once it is complete.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import re
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lnn.core.errors import DataError

Progress = Callable[[int, int | None], None]

_BLOCK = 1 << 16
_USER_AGENT = "lnn (https://doi.org/10.24432/C5MK6M)"


class _Retry(Exception):  # noqa: N818 - a signal between two functions, never shown
    """A failure that may not recur, with its description."""


def fetch(
    url: str,
    target: Path,
    *,
    limit: int = 512 << 20,
    timeout: float = 30.0,
    attempts: int = 4,
    pause: float = 1.0,
    progress: Progress | None = None,
    variable: str = "LNN_GAS_URL",
) -> Path:
    """Download `url` to the file `target`, in an existing folder, and return it.

    Accepts `limit` bytes and `timeout` seconds without data; temporary failures are retried up to
    `attempts` times, after `pause` seconds, doubled each time. `progress` is called with bytes
    done, and in total or None; messages name the environment `variable` for another address.

    Raises:
        ValueError: the address is not http or https.
        DataError: the download failed; a resumable part is kept for the next call.
    """
    if not _is_web_address(url):
        raise ValueError(f"cannot download from {url!r}: give an http:// or https:// address")
    part = target.with_name(f"{target.name}.part")
    for attempt in range(attempts):
        if attempt:
            time.sleep(pause * 2 ** (attempt - 1))
        try:
            _attempt(url, part, limit, timeout, progress, variable)
        except _Retry as failure:
            reason = str(failure)
            continue
        os.replace(part, target)
        _note(part).unlink(missing_ok=True)
        return target
    raise DataError(
        f"could not download {url}: {reason} ({attempts} tries); check the network and run again, "
        "or get the file another way and give its path"
    )


@contextlib.contextmanager
def exclusive_name(folder: Path, name: str) -> Iterator[Path]:
    """Yield a path for a download, `name`, that later calls can resume, locked by this process.

    A second process gets a different name, since two writers would corrupt the file.
    """
    stem, suffix = os.path.splitext(name)
    lock = FileLock(folder / "download.lock", timeout=0)
    try:
        lock.acquire()
    except (Timeout, OSError, NotImplementedError):
        name = f"{stem}-{os.getpid()}{suffix}"
    path = folder / name
    try:
        yield path
    finally:
        if not lock.is_locked:
            for leftover in folder.glob(f"{path.name}.part*"):
                leftover.unlink(missing_ok=True)
        lock.release()


def _is_web_address(url: str) -> bool:
    try:
        parts = urllib.parse.urlsplit(url)
        return bool(re.fullmatch(r"https?://[!-~]+", url) and parts.hostname and parts.port != 0)
    except ValueError:  # invalid IPv6 address or port
        return False


def _note(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _attempt(
    url: str, part: Path, limit: int, timeout: float, progress: Progress | None, variable: str
) -> None:
    """Make one request that leaves the complete file in `part`, or raise."""
    done, validator = _resumable(url, part)
    headers = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
    if done:
        headers |= {"Range": f"bytes={done}-", "If-Range": validator}
    request = urllib.request.Request(url, headers=headers)
    try:
        with _network(timeout):
            reply = urllib.request.urlopen(request, timeout=timeout)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 416 and done:  # the part is not a prefix of the file
            _forget(part)
            raise _Retry("the server refused to continue the partial file") from None
        if error.code >= 500 or error.code in (408, 429):
            raise _Retry(f"the server answered {error.code} {error.reason}") from None
        raise DataError(
            f"could not download {url}: the server answered {error.code} {error.reason}; check the "
            f"address ({variable}), or get the file another way and give its path"
        ) from None
    with reply:
        start, total = _placement(reply, done)
        _remember(url, part, reply)
        received = _receive(reply, part, start, total, limit, timeout, url, progress, variable)
    if total is not None and received < total:
        raise _Retry(f"the connection ended after {received} of {total} bytes")


@contextlib.contextmanager
def _network(timeout: float) -> Iterator[None]:
    """Turn network failures into reasons to retry."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except (OSError, http.client.HTTPException) as error:  # URLError is an OSError
        reason = getattr(error, "reason", error)
        if isinstance(reason, TimeoutError):
            raise _Retry(f"nothing arrived for {timeout:g} s") from None
        raise _Retry(" ".join(str(reason).split()) or type(error).__name__) from None


def _resumable(url: str, part: Path) -> tuple[int, str]:
    """Return size and version of a resumable part, or (0, "")."""
    try:
        note = json.loads(_note(part).read_text(encoding="utf-8"))
        size = part.stat().st_size
        validator = note["validator"]
        if note["url"] == url and size and validator.isascii() and validator.isprintable():
            return size, validator
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        pass
    _forget(part)
    return 0, ""


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note(part).unlink(missing_ok=True)


def _placement(reply: Any, done: int) -> tuple[int, int | None]:
    """Return the offset of the reply's first byte, and the file's length if known."""
    length = reply.headers.get("Content-Length", "")
    if reply.status == 206:
        span = reply.headers.get("Content-Range", "")
        found = re.fullmatch(r"bytes ([0-9]{1,18})-[0-9]+/([0-9]{1,18}|\*)", span)
        if not found or int(found[1]) != done:
            raise _Retry("the server sent another range than asked for")
        return done, None if found[2] == "*" else int(found[2])
    return 0, int(length) if re.fullmatch("[0-9]{1,18}", length) else None


def _remember(url: str, part: Path, reply: Any) -> None:
    """Save the version; weak ETags do not count, since they may cover different bytes."""
    etag = reply.headers.get("ETag", "")
    validator = etag if etag.startswith('"') else reply.headers.get("Last-Modified")
    if validator:
        note = json.dumps({"url": url, "validator": validator})
        _note(part).write_text(note, encoding="utf-8")
    else:
        _note(part).unlink(missing_ok=True)


def _receive(
    reply: Any,
    part: Path,
    start: int,
    total: int | None,
    limit: int,
    timeout: float,
    url: str,
    progress: Progress | None,
    variable: str,
) -> int:
    """Write the reply from `start` on; return the bytes now in `part`."""
    with part.open("r+b" if start else "wb") as file:
        file.seek(start)
        done = start
        while True:
            if max(done, total or 0) > limit:
                file.close()
                _forget(part)
                raise DataError(
                    f"{url} is larger than {limit} bytes, so it is not the file wanted; check the "
                    f"address ({variable})"
                )
            if progress is not None:
                progress(done, total)
            with _network(timeout):
                block = reply.read(_BLOCK)
            if not block:
                return done
            file.write(block)
            done += len(block)
