"""Kill a study with SIGKILL at random moments until it is done, and compare its files.

    python tests/kill_study.py --kills 100 [--seed 0] [-- OPTIONS OF lnn.compare]

Every attempt is the same command on the same folder. Moments are spread over the whole length of an
attempt, so that start, compilation, runs, checkpoints and the writing of the results are all hit.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

TESTS = Path(__file__).parent


class Study(NamedTuple):
    """A command, the files that must be the same, and how many times CI kills it."""

    command: tuple[str, ...]
    same: tuple[str, ...]
    kills: int


def _compared(kills: int, *options: str) -> Study:
    # Several checkpoints a second.
    command = ("-m", "lnn.compare", "--quick", "--checkpoint-every", "0.2", *options)
    return Study(command, ("summary.csv", "trajectories.nc", "figure.png"), kills)


STUDIES = (
    _compared(4, "--methods", "gd", "adam", "end-to-end", "layerwise-gd", "--steps", "2000"),
    _compared(3, "--data", "two-point", "--depth", "2", "3", "--save-weights"),
    _compared(
        3, "--data", "gaussian", "--outputs", "3", "--p", "2.5", "--methods", "gd", "end-to-end",
        "--dtype", "float64",
    ),
    Study(
        ("-m", "lnn.phase", "--p", "4", "--depth", "2", "--norm", "0.1,1", "--decay", "0.25",
         "--steps", "300", "--seeds", "6"),
        ("phase.nc", "phase.csv", "phase.png", "phase.txt"), 3,
    ),
    Study(
        (str(TESTS / "fake_mnist.py"), "--quick", "--steps", "20", "--seeds", "2"),
        ("mnist.nc", "mnist.csv", "mnist.png", "report.md"), 3,
    ),
    Study(
        (str(TESTS / "fake_width.py"), "characters", "--quick"),
        ("width.nc", "width.csv", "width.png", "report.md"), 3,
    ),
)  # fmt: skip


def start(out: Path, study: Study, cache: Path) -> subprocess.Popen[str]:
    """Start an attempt, with compiled programs kept: killing is about the rest."""
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
    }
    where = ("--quiet", "--out", str(out), "--name", "study")
    line = [sys.executable, "-W", "error", *study.command, *where]
    return subprocess.Popen(line, stderr=subprocess.PIPE, text=True, env=environment)


def end(attempt: subprocess.Popen[str]) -> None:
    """Wait for an attempt to end well."""
    _, said = attempt.communicate()
    assert attempt.returncode == 0, said


def differing(study: Study, one: Path, other: Path) -> list[str]:
    """Names of the files that differ."""
    return [name for name in study.same if (one / name).read_bytes() != (other / name).read_bytes()]


def kill_until_done(
    folder: Path, study: Study, kills: int, chance: random.Random
) -> dict[str, float]:
    """Kill a study so many times, let it end, and compare; how many kills hit what.

    Raises:
        AssertionError: an attempt failed by itself, or the files differ.
    """
    cache = folder / "programs"
    began = time.monotonic()
    end(start(folder / "calm", study, cache))
    began_warm = time.monotonic()
    end(start(folder / "warm", study, cache))
    length = time.monotonic() - began_warm
    assert differing(study, folder / "calm" / "study", folder / "warm" / "study") == []
    counts: dict[str, float] = {"kills": 0, "rounds": 1, "unfinished": 0, "seconds": 0}
    out = folder / "killed-1"
    while counts["kills"] < kills:
        attempt = start(out, study, cache)
        time.sleep(chance.uniform(0, length))
        if attempt.poll() is None:
            attempt.send_signal(signal.SIGKILL)
            attempt.communicate()
            counts["kills"] += 1
            counts["unfinished"] += (out / "study.unfinished").exists()
            continue
        end(attempt)
        assert differing(study, folder / "calm" / "study", out / "study") == []
        counts["rounds"] += 1
        out = folder / f"killed-{counts['rounds']:.0f}"
    end(start(out, study, cache))
    assert differing(study, folder / "calm" / "study", out / "study") == []
    assert [path.name for path in out.iterdir()] == ["study"]
    counts["seconds"] = time.monotonic() - began
    return counts


def main() -> None:
    """Run it on several studies, and print what was hit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="in all (default 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", help="of one lnn.compare, instead of all studies")
    given = parser.parse_args()
    studies = (_compared(given.kills, *given.options),) if given.options else STUDIES
    chance = random.Random(given.seed)
    for i, study in enumerate(studies):
        share = given.kills // len(studies) + (i < given.kills % len(studies))
        with tempfile.TemporaryDirectory() as folder:
            print(*study.command, kill_until_done(Path(folder), study, share, chance), flush=True)


if __name__ == "__main__":
    main()
