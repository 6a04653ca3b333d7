"""Exit codes, one line per error or warning, and seconds by part."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import Any

import pytest

from lnn.core.errors import DataError
from lnn.execution.terminal import (
    Clock,
    Terminated,
    download_bar,
    guarded,
    progress_bar,
    terminable,
)


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (DataError("no\nfile"), 3, "no\\nfile"),
        (ValueError("steps = 0"), 2, "steps = 0"),
        (ArithmeticError("p = 1.02"), 2, "p = 1.02"),
        (MemoryError(), 2, "out of memory: reduce the number or width of the runs"),
        (OSError("disk"), 1, "disk"),
        (Terminated(), 143, "stopped"),
        (Terminated("saved"), 143, "saved"),
        (KeyboardInterrupt(), 130, "stopped"),
    ],
)
def test_an_error_is_one_line_and_a_code(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> int:
        raise error

    assert guarded("lnn", fail, "stopped") == code
    assert capsys.readouterr().err == f"lnn: error: {said}\n"


def test_a_warning_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    def warn() -> int:
        warnings.warn("a copy is missing", stacklevel=1)
        return 7

    assert guarded("lnn", warn, "stopped") == 7
    assert capsys.readouterr().err == "warning: a copy is missing\n"


def test_sigterm_is_an_exception_inside_only() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Terminated), terminable():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_clock_gives_seconds_to_parts() -> None:
    clock = Clock()
    time.sleep(0.01)
    clock.stop("run_seconds")
    assert clock.seconds["run_seconds"] >= 0.01
    clock.seconds["run_seconds"] = 3.0
    clock.move("run_seconds", "compile_seconds", 1.0)
    assert clock.seconds == {"run_seconds": 2.0, "compile_seconds": 1.0}
    assert str(clock) == "3 s (1.0 s compiling)"


@pytest.mark.parametrize("bar", [progress_bar, download_bar])
def test_a_bar_is_drawn_on_standard_error_if_shown(
    bar: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    with bar(False) as report:
        assert report is None
    with bar(True) as report:
        report(1, 2, "half") if bar is progress_bar else report(1, None)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert ("half" if bar is progress_bar else "downloading gas drift") in printed.err


def test_a_reader_may_leave_and_a_full_disk_is_told_with_what_is_saved(tmp_path: Path) -> None:
    lines = (
        "from lnn.execution.terminal import calm_streams, guarded, printing\n"
        "calm_streams()\n"
        "def run():\n"
        "    with printing('runs/s'):\n"
        "        print('\\u00e4' * 100_000)\n"
        "    return 5\n"
        "raise SystemExit(guarded('lnn', run, 'stopped'))\n"
    )
    script = tmp_path / "script.py"
    script.write_text(lines, encoding="utf-8")
    told = "lnn: error: cannot print the result: [Errno 28] No space left on device; it is complete"
    for around, code, says in [
        ("| head -c 1", 5, ""), (">&-", 5, ""), ("2>&-", 5, ""), (">/dev/full", 1, told),
    ]:  # fmt: skip
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", f"{sys.executable} {script} {around}"],
            env={**os.environ, "PYTHONIOENCODING": "ascii"},
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == code, done.stderr
        assert done.stderr.startswith(says)
        assert done.stderr.count("\n") == bool(says)


@pytest.mark.slow
@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("module", ["lnn.compare", "lnn"])
def test_a_signal_during_compilation_gives_its_exit_code(
    module: str, sent: signal.Signals, code: int, tmp_path: Path
) -> None:
    arguments = [*(["compare"] if module == "lnn" else []), "--quick", "--out", str(tmp_path)]
    with subprocess.Popen(
        [sys.executable, "-m", module, *arguments], stderr=subprocess.PIPE, text=True,
        env={**os.environ, "JAX_LOG_COMPILES": "1", "JAX_ENABLE_COMPILATION_CACHE": "false"},
    ) as process:  # fmt: skip
        assert process.stderr is not None
        for line in process.stderr:
            if "Compiling jit(advance)" in line:
                time.sleep(1)  # into the seconds that XLA takes
                process.send_signal(sent)
                break
        *_, last = process.stderr
    assert process.returncode == code
    assert last.startswith("python -m lnn.compare: error: stopped before the end")
