"""A text file of any origin, packed by gzip or not, read with limits."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from lnn.core.errors import DataError
from lnn.core.files import regular_file

LIMIT = 1 << 30
"""Most bytes of text that a file may hold."""

WANTED = "give a text file in UTF-8, gzipped or not, or the folder of the Billion Word Benchmark"

_PIECE = 1 << 20


def read_text(path: Path) -> str:
    r"""Return the text of a file in UTF-8, without a byte-order mark; every line ends in \n.

    Raises:
        DataError: no regular file, unreadable, damaged, too large, binary, empty or not UTF-8.
    """
    path = regular_file(path, WANTED)
    data = bytearray()
    try:
        with path.open("rb") as raw:
            packed = raw.read(2) == b"\x1f\x8b"
            raw.seek(0)
            stream = gzip.GzipFile(fileobj=raw) if packed else raw
            while piece := stream.read(_PIECE):
                if 0 in piece:
                    at = len(data) + piece.index(0)
                    raise DataError(
                        f"{path} is binary or UTF-16 (byte {at} is 0); give a text file in UTF-8"
                    )
                data += piece
                if len(data) > LIMIT:  # a small file can unpack without end
                    raise DataError(
                        f"{path} holds more than {LIMIT} bytes of text; give a part of it"
                    )
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(
            f"{path} is a damaged or cut gzip file ({error}); get it again, or unpack it and give "
            "the text"
        ) from None
    except OSError as error:
        raise DataError(f"cannot read {path}: {error.strerror or error}") from None
    try:
        text = data.decode("utf-8").removeprefix("\ufeff")
    except UnicodeDecodeError as error:
        raise DataError(
            f"{path} is not UTF-8 text (byte {error.start} is 0x{data[error.start]:02x}); save it "
            "as UTF-8"
        ) from None
    if not text:
        raise DataError(f"{path} is empty; {WANTED}")
    return text.replace("\r\n", "\n").replace("\r", "\n")
