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

STUDIES = (
    ("--quick", "--methods", "gd", "adam", "end-to-end", "layerwise-gd", "--steps", "2000"),
    ("--quick", "--data", "two-point", "--depth", "2", "3", "--save-weights"),
    ("--quick", "--outputs", "3", "--p", "2.5", "--methods", "gd", "end-to-end", "--dtype",
     "float64"),
)  # fmt: skip
SAME = ("summary.csv", "trajectories.nc", "figure.png")


def command(out: Path, options: tuple[str, ...]) -> list[str]:
    """The command of a study, which saves several checkpoints a second."""
    every = ("--checkpoint-every", "0.2", "--quiet")
    return [
        sys.executable, "-W", "error", "-m", "lnn.compare", *options, *every,
        "--out", str(out), "--name", "study",
    ]  # fmt: skip


def start(out: Path, options: tuple[str, ...], cache: Path) -> subprocess.Popen[str]:
    """Start an attempt, with compiled programs kept: killing is about the rest."""
    environment = {
        **os.environ,
        "JAX_COMPILATION_CACHE_DIR": str(cache),
        "JAX_ENABLE_COMPILATION_CACHE": "true",
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
    }
    return subprocess.Popen(
        command(out, options), stderr=subprocess.PIPE, text=True, env=environment
    )


def end(attempt: subprocess.Popen[str]) -> None:
    """Wait for an attempt to end well."""
    _, said = attempt.communicate()
    assert attempt.returncode == 0, said


def compare(one: Path, other: Path) -> list[str]:
    """Names of the files that differ."""
    return [name for name in SAME if (one / name).read_bytes() != (other / name).read_bytes()]


def kill_until_done(
    folder: Path, options: tuple[str, ...], kills: int, chance: random.Random
) -> dict[str, float]:
    """Kill a study so many times, let it end, and compare; how many kills hit what.

    Raises:
        AssertionError: an attempt failed by itself, or the files differ.
    """
    cache = folder / "programs"
    began = time.monotonic()
    end(start(folder / "calm", options, cache))
    began_warm = time.monotonic()
    end(start(folder / "warm", options, cache))
    length = time.monotonic() - began_warm
    assert compare(folder / "calm" / "study", folder / "warm" / "study") == []
    counts: dict[str, float] = {"kills": 0, "rounds": 1, "unfinished": 0, "seconds": 0}
    out = folder / "killed-1"
    while counts["kills"] < kills:
        attempt = start(out, options, cache)
        time.sleep(chance.uniform(0, length))
        if attempt.poll() is None:
            attempt.send_signal(signal.SIGKILL)
            attempt.communicate()
            counts["kills"] += 1
            counts["unfinished"] += (out / "study.unfinished").exists()
            continue
        end(attempt)
        assert compare(folder / "calm" / "study", out / "study") == []
        counts["rounds"] += 1
        out = folder / f"killed-{counts['rounds']:.0f}"
    end(start(out, options, cache))
    assert compare(folder / "calm" / "study", out / "study") == []
    assert [path.name for path in out.iterdir()] == ["study"]
    counts["seconds"] = time.monotonic() - began
    return counts


def main() -> None:
    """Run it on several studies, and print what was hit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="in all (default 100)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("options", nargs="*", help="one study's options, instead of several")
    given = parser.parse_args()
    studies = (tuple(given.options),) if given.options else STUDIES
    chance = random.Random(given.seed)
    for i, options in enumerate(studies):
        share = given.kills // len(studies) + (i < given.kills % len(studies))
        with tempfile.TemporaryDirectory() as folder:
            print(*options, kill_until_done(Path(folder), options, share, chance), flush=True)


if __name__ == "__main__":
    main()
