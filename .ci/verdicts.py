"""Put the verdicts of finished runs on record: python .ci/verdicts.py FOLDER ...

Each FOLDER is a finished one of `python -m lnn.reproduce`; other claims stay as they are.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

RECORD = Path(__file__).resolve().parents[1] / "lnn" / "claims" / "verdicts.json"


def main(folders: list[str]) -> None:
    """Read each run's claims.json, and replace what was on record of its claims and kind."""
    recorded = json.loads(RECORD.read_text(encoding="utf-8"))
    for folder in folders:
        claims = json.loads((Path(folder) / "claims.json").read_text(encoding="utf-8"))
        quick = claims[0]["quick"]
        on_gas = any("gas drift" in claim["data"] for claim in claims)
        kind = f"{'quick' if quick else 'full'}, {'gas drift' if on_gas else 'built-in'}"
        found = {
            claim["id"]: {
                "verdicts": claim["verdicts"]
                | ({"here": claim["outcome"]} if claim["analogue"] else {}),
                "seconds": round(claim["seconds"], 1),
            }
            for claim in claims
        }
        recorded[kind] |= found
    text = json.dumps(dict(sorted(recorded.items())), indent=0)
    RECORD.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
