"""Results that a command finds where it is about to write its own."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path
from typing import Any


def set_aside(
    out: Path, names: Iterable[str], manifest: Mapping[str, Any], quiet: bool
) -> Path | None:
    """Move the results of other settings, data or code to a folder `earlier-N` beside them.

    Args:
        out: folder of the results.
        names: files that are about to be written, besides `manifest.json`, which says of those
            that are there what they are of.
        manifest: of the new ones, with `config` and `key`.
        quiet: do not say so on standard error.

    Returns:
        The new folder; None if there was nothing, or only what the new results repeat.
    """
    there = [path for name in (*names, "manifest.json") if (path := out / name).is_file()]
    if not there or _told(out / "manifest.json") == _told_by(json.dumps(manifest)):
        return None
    folder = next(each for n in count(1) if not (each := out / f"earlier-{n}").exists())
    folder.mkdir()
    for path in there:
        path.rename(folder / path.name)
    if not quiet:
        print(f"{out} held results of other settings or code: now in {folder}", file=sys.stderr)
    return folder


def _told(manifest: Path) -> tuple[Any, Any] | None:
    try:
        return _told_by(manifest.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError, AttributeError):  # missing, damaged, another's
        return None


def _told_by(text: str) -> tuple[Any, Any]:
    """Settings and key, as JSON has them."""
    manifest = json.loads(text)
    return manifest.get("config"), manifest.get("key")
