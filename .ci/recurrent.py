"""Put the runs of a finished study on record: python .ci/recurrent.py runs/width

Claims D17a and further read them; after this, record their verdicts (.ci/verdicts.py).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from pathlib import Path

PLACE = Path(__file__).resolve().parents[1] / "lnn" / "claims" / "width"


def main(folder: str) -> None:
    """Copy the runs, and write their checksum where they are read."""
    shutil.copyfile(Path(folder) / "width.nc", PLACE / "recurrent.nc")
    digest = hashlib.sha256((PLACE / "recurrent.nc").read_bytes()).hexdigest()
    module = PLACE / "recurrent.py"
    text = re.sub(r'SHA256 = "\w*"', f'SHA256 = "{digest}"', module.read_text(encoding="utf-8"))
    module.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
