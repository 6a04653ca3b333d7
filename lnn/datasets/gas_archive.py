"""Finds the files batch1.dat ... batch10.dat in an untrusted folder or zip.

Nothing is extracted to disk, nested archives are not opened, and every read is limited.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from lnn.core.errors import DataError, reason

_BATCH = re.compile(r"(?:^|/)batch(\d{1,9})\.dat\Z", re.IGNORECASE)

DAMAGE = (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError)
"""Exceptions of zipfile for damaged files and other formats."""


@dataclass(frozen=True)
class Limits:
    """Limits of an archive; UCI's has 10 files, 25 MB in total, compressed about 2:1."""

    bytes_in_all: int = 256 << 20
    packed: int = 64 << 20
    ratio: float = 200.0
    members: int = 10_000


@dataclass(frozen=True)
class Batch:
    """One batchN.dat: its number, source (for messages) and bytes."""

    number: int
    where: str
    data: bytes


def from_folder(folder: Path, limits: Limits | None = None) -> Iterator[Batch]:
    """Yield the batches in `folder`, or in its subfolder Dataset, by number.

    Raises:
        DataError: no batch, a duplicate, a file that is too large, unreadable, a pipe or a device.
    """
    limits = limits or Limits()
    for place in (folder, folder / "Dataset"):
        try:
            names = [path.name for path in place.iterdir()] if place.is_dir() else []
        except OSError as error:
            raise DataError(f"cannot read the folder {place}: {error.strerror}") from None
        numbered = _numbered(names, str(place))
        if numbered:
            break
    else:
        raise DataError(
            f"{folder} holds no batchN.dat, and neither does {folder / 'Dataset'}; give the folder "
            "with the files batch1.dat ... batch10.dat of UCI dataset 270"
        )
    left = limits.bytes_in_all
    for number, name in sorted(numbered.items()):
        path = place / name
        try:
            # Pipes and devices could block forever.
            if not stat.S_ISREG(path.stat().st_mode):
                raise DataError(
                    f"cannot read {path}: not a regular file; give a folder with the files "
                    "themselves"
                )
            with path.open("rb") as file:
                data = file.read(left + 1)
        except OSError as error:
            raise DataError(f"cannot read {path}: {error.strerror}") from None
        if len(data) > left:
            raise DataError(
                f"{path}: the batches hold more than {limits.bytes_in_all} bytes, so they are not "
                "UCI dataset 270; check the folder"
            )
        left -= len(data)
        yield Batch(number, str(path), data)


def from_zip(path: Path, limits: Limits | None = None) -> Iterator[Batch]:
    """Yield the batches in the zip `path`, at any depth, by number.

    Raises:
        DataError: not a zip, damaged, unsafe or encrypted members, sizes over the limits, a nested
            zip, no batch, or a duplicate.
    """
    limits = limits or Limits()
    try:
        # zipfile reads the whole list of members before it can be counted.
        if path.stat().st_size > limits.packed:
            raise DataError(
                f"{path} is larger than {limits.packed} bytes, so it is not UCI dataset 270; use "
                "the archive as UCI distributes it"
            )
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            _refuse_unsafe(path, members, limits)
            numbered = _numbered([member.filename for member in members], str(path))
            if not numbered:
                raise DataError(_no_batches(path, members))
            by_name = {member.filename: member for member in members}
            left = limits.bytes_in_all
            for number, name in sorted(numbered.items()):
                data = _read_member(archive, by_name[name], path, left)
                left -= len(data)
                yield Batch(number, f"{path}:{name}", data)
    except DataError:
        raise
    except DAMAGE as error:
        raise DataError(
            f"{path} is not a zip file, or a damaged one ({error}); download it again"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None


def _numbered(names: list[str], where: str) -> dict[int, str]:
    """Return names by batch number; duplicates are an error."""
    found: dict[int, str] = {}
    for name in names:
        match = _BATCH.search(name)
        if match is None:
            continue
        number = int(match[1])
        if number in found:
            raise DataError(
                f"{where} holds batch {number} twice ({found[number]} and {name}); keep one of them"
            )
        found[number] = name
    return found


def _refuse_unsafe(path: Path, members: list[zipfile.ZipInfo], limits: Limits) -> None:
    what = None
    if len(members) > limits.members:
        what = f"holds {len(members)} members (at most {limits.members} are accepted)"
    total = sum(member.file_size for member in members)
    if total > limits.bytes_in_all:
        what = f"would unpack to {total} bytes (at most {limits.bytes_in_all} are accepted)"
    spans = sorted((member.header_offset, member.compress_size) for member in members)
    for (start, size), (following, _) in pairwise(spans):
        if start + size > following:
            what = "holds members that overlap, as a zip bomb does"
    for member in members:
        name = member.filename
        parts = name.replace("\\", "/").split("/")
        if name.startswith(("/", "\\")) or ".." in parts or re.match(r"[A-Za-z]:", name):
            what = f"holds the unsafe path {name!r}"
        elif stat.S_ISLNK(member.external_attr >> 16):
            what = f"holds the symbolic link {name!r}"
        elif member.flag_bits & 1:
            what = f"holds the encrypted member {name!r}"
        elif member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            what = f"holds {name!r}, which is neither stored nor deflated"
        elif name.lower().endswith(".zip"):
            what = f"holds another zip ({name!r}); unpack it once"
        elif member.file_size > limits.ratio * max(member.compress_size, 1 << 12):
            what = (
                f"holds {name!r}, which unpacks to {member.file_size} bytes from "
                f"{member.compress_size}, as a zip bomb does"
            )
        if what:
            break
    if what:
        raise DataError(
            f"{path} {what}, so it is not opened; use the archive as UCI distributes it"
        )


def _no_batches(path: Path, members: list[zipfile.ZipInfo]) -> str:
    names = [member.filename for member in members]
    nested = [name for name in names if name.lower().endswith(".zip")]
    if nested:
        return f"{path} holds another zip ({nested[0]!r}) and no batchN.dat; unpack it once"
    listed = ", ".join(map(repr, names[:3])) + (", ..." if len(names) > 3 else "")
    return (
        f"{path} holds no batchN.dat (it holds {listed or 'nothing'}); give the archive of UCI "
        "dataset 270"
    )


def _read_member(
    archive: zipfile.ZipFile, member: zipfile.ZipInfo, path: Path, limit: int
) -> bytes:
    # If the declared size is too small, zipfile stops there and the checksum fails.
    try:
        with archive.open(member) as file:
            data = file.read(min(member.file_size, limit) + 1)
        if len(data) != member.file_size:
            raise zipfile.BadZipFile("its size differs from the archive's entry")
    except DAMAGE as error:
        raise DataError(
            f"{path}: the member {member.filename!r} is damaged or packed in an unknown way "
            f"({reason(error)}); download the archive again"
        ) from None
    return data
