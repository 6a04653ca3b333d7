"""Write every fenced block of a README to a folder, in order: 00.sh, 01.py, ..."""

from __future__ import annotations

import re
import sys
from pathlib import Path

SUFFIXES = {"sh": "sh", "python": "py"}


def main(readme: str, folder: str) -> None:
    """Extract the blocks; a block in no known language is an error: it would go untested."""
    out = Path(folder)
    out.mkdir(parents=True)
    blocks = re.findall(r"^```(.*?)\n(.*?)^```$", Path(readme).read_text(), re.M | re.S)
    for number, (language, text) in enumerate(blocks):
        if language not in SUFFIXES:
            raise SystemExit(f"{readme}: block {number} is in {language!r}, which is not run")
        (out / f"{number:02d}.{SUFFIXES[language]}").write_text(text)


if __name__ == "__main__":
    main(*sys.argv[1:])
