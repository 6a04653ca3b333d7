"""What CONTRIBUTING.md tells contributors to copy is there."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
NEW = {"lnn/transforms/my_rule.py"}


def test_files_to_copy_from_exist() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`((?:lnn|tests)/[\w/.]*)`", text)) - NEW
    assert {"lnn/studies/phase/", "lnn/transforms/single_output.py"} <= named
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []
