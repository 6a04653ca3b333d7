"""A name for what a saved result depends on: the package's code and a configuration."""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from pathlib import Path


def code_key(configuration: str, without: Collection[str]) -> str:
    """16 hex digits of the configuration and of the package's Python files.

    Args:
        configuration: whatever else the result depends on, as text.
        without: names of files and folders that no result depends on.
    """
    digest = hashlib.sha256(configuration.encode())
    package = Path(__file__).resolve().parents[1]
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        if not set(inside.parts) & set(without):
            digest.update(str(inside).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()[:16]
