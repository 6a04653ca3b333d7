"""A command under settings of JAX, Python, the terminal and the machine: calm, or one line."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cases import mostly_slow

ASCII = {"LC_ALL": "POSIX", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
DONE = "s/summary.csv"


@dataclass(frozen=True)
class Case:
    """Variables and a shell line around the command, and how it should end.

    Attributes:
        around: a shell line, with {} for the command.
        folder: of the results.
        code: the exit code.
        says: part of the only line on standard error; "" for none, None for any lines that are
            no traceback.
    """

    variables: Mapping[str, str] = field(default_factory=dict)
    around: str = "{}"
    folder: str = "out"
    code: int = 0
    says: str | None = ""


def aside(name: str, value: str) -> Case:
    return Case({name: value}, says=f"warning: {name} is set aside here")


CASES = {
    "nothing": Case(),
    "a GPU that is not there": Case({"JAX_PLATFORMS": "cuda"}, code=2, says="JAX_PLATFORMS=cpu"),
    "a platform misspelt": Case({"JAX_PLATFORMS": "cpo"}, code=2, says="'cpo' is not in the list"),
    "any platform": Case({"JAX_PLATFORMS": ""}),
    "no devices": Case({"JAX_NUM_CPU_DEVICES": "0"}, code=2, says="JAX_NUM_CPU_DEVICES=0"),
    "three devices": Case({"JAX_NUM_CPU_DEVICES": "3"}),
    "devices by a flag": Case({"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}),
    "a wrong flag": Case({"XLA_FLAGS": "--xla_nonsense=1"}, code=1, says="--xla_nonsense=1"),
    "NaN is an error": aside("JAX_DEBUG_NANS", "1"),
    "infinity is an error": aside("JAX_DEBUG_INFS", "1"),
    "nothing is compiled": aside("JAX_DISABLE_JIT", "1"),
    "no rank promotion": aside("JAX_NUMPY_RANK_PROMOTION", "raise"),
    "rank promotion warns": aside("JAX_NUMPY_RANK_PROMOTION", "warn"),
    "strict dtypes": aside("JAX_NUMPY_DTYPE_PROMOTION", "strict"),
    "float64": Case({"JAX_ENABLE_X64": "1"}),
    "32 bits by default": Case({"JAX_DEFAULT_DTYPE_BITS": "32"}, says=None),
    "no transfers": Case({"JAX_TRANSFER_GUARD": "disallow"}),
    "bfloat16 products": Case({"JAX_DEFAULT_MATMUL_PRECISION": "bfloat16"}),
    "leaks are checked": Case({"JAX_CHECK_TRACER_LEAKS": "1"}),
    "keys are checked": Case({"JAX_DEBUG_KEY_REUSE": "1"}),
    "other random bits": Case({"JAX_DEFAULT_PRNG_IMPL": "rbg"}),
    "old random bits": Case({"JAX_THREEFRY_PARTITIONABLE": "0"}),
    "typed keys": Case({"JAX_ENABLE_CUSTOM_PRNG": "1"}),
    "compilations are logged": Case({"JAX_LOG_COMPILES": "1"}, says=None),
    "full tracebacks": Case({"JAX_TRACEBACK_FILTERING": "off"}),
    "nowhere to keep programs": Case({"JAX_COMPILATION_CACHE_DIR": "/proc/nothing"}, says=None),
    "programs are not kept": Case({"JAX_ENABLE_COMPILATION_CACHE": "0"}),
    "a coordinator": Case({"JAX_COORDINATOR_ADDRESS": "192.0.2.1:1"}),
    "a job of SLURM": Case(
        {
            "SLURM_JOB_ID": "1", "SLURM_NTASKS": "4", "SLURM_PROCID": "1", "SLURM_LOCALID": "1",
            "SLURM_STEP_NODELIST": "a,b",
        }
    ),
    "one thread": Case({"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}),
    "no such drawing": Case({"MPLBACKEND": "nonsense"}),
    "drawing without a folder": Case({"MPLCONFIGDIR": "/proc/nothing"}, says=None),
    "no home": Case({"HOME": "/nonexistent", "XDG_CACHE_HOME": ""}),
    "no temporary folder": Case({"TMPDIR": "/nonexistent"}),
    "ASCII": Case(ASCII),
    "ASCII and an umlaut": Case(ASCII, folder="größe"),
    "an umlaut": Case(folder="größe"),
    "ASCII streams and an umlaut": Case({"PYTHONIOENCODING": "ascii"}, folder="größe"),
    "Turkish": Case({"LANG": "tr_TR.UTF-8"}),
    "no assertions or docstrings": Case({"PYTHONOPTIMIZE": "2"}),
    "warnings are errors": Case({"PYTHONWARNINGS": "error"}),
    "development mode": Case({"PYTHONDEVMODE": "1"}),
    "fixed hashes": Case({"PYTHONHASHSEED": "1"}),
    "unbuffered": Case({"PYTHONUNBUFFERED": "1"}),
    "a dumb terminal": Case({"TERM": "dumb"}),
    "one column": Case({"COLUMNS": "1"}),
    "colours": Case({"FORCE_COLOR": "1"}),
    "a reader who leaves": Case(around="{} | head -1"),
    "no output": Case(around="{} >&-"),
    "no errors": Case(around="{} 2>&-"),
    "no input": Case(around="{} <&-"),
    "a full disk": Case(around="{} >/dev/full", code=1, says="No space left on device; it is comp"),
    "few files": Case(around="ulimit -n 32; {}"),
    "little memory": Case(around="ulimit -v 4000000; {}"),
}  # fmt: skip


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compiled programs, shared by all cases that do not say otherwise."""
    return tmp_path_factory.mktemp("programs")


@pytest.mark.skipif(os.name != "posix", reason="a shell of POSIX")
@pytest.mark.parametrize("name", mostly_slow(CASES, "a platform misspelt"))
def test_it_works_or_one_line_says_what_to_change(
    name: str, programs: Path, tmp_path: Path
) -> None:
    case = CASES[name]
    command = (
        f"{sys.executable} -m lnn.compare --quick --steps 60 --seeds 2 --tuning-seeds 1 --depth 2 "
        f"--methods gd end-to-end --out {case.folder} --name s"
    )
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "MPL", "PYTHON"))}
    kept = {"JAX_COMPILATION_CACHE_DIR": str(programs), "JAX_PLATFORMS": "cpu"}
    path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", case.around.format(command)],
        env={**clean, **path, **kept, **case.variables}, cwd=tmp_path, stdin=subprocess.DEVNULL,
        capture_output=True, timeout=240, check=False,
    )  # fmt: skip
    told = done.stderr.decode(errors="replace").strip()
    assert done.returncode == case.code, told
    assert "Traceback" not in told
    if case.says is not None:
        assert case.says in told
        assert len(told.splitlines()) == bool(case.says), told
    saved = case.code == 0 or "/dev/full" in case.around
    assert (tmp_path / case.folder / DONE).exists() == saved


def test_there_are_at_least_forty() -> None:
    assert len(CASES) >= 40
