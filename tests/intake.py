"""What tests of bad input share: the command with no study behind it, time limits, small files."""

from __future__ import annotations

import contextlib
import functools
import io
import itertools
import signal
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

import pytest

from lnn.datasets import gas_table, regression
from lnn.datasets.gas_table import ExpectedRows
from lnn.datasets.source import Source
from lnn.studies.compare.command import main

SMALL = Source("http://127.0.0.1:9/", 1.0, 1, 0.0, ExpectedRows({1: 4, 2: 3}, 3, {"ethanol": 4}))
"""UCI's dataset with two batches of three features, at an address where nobody answers."""

FIRST = b"1;10.5 1:1.5 2:2 3:3\n1;20 1:4 2:5.25 3:9\n2;5 1:7 2:8 3:1\n3;1 1:0.5 2:1 3:2\n"
SECOND = b"1;30 1:2 2:-1 3:4\n1;3 1:1 2:1e3 3:5\n5;3 1:6 2:2 3:2\n"
BATCHES = (("batch1.dat", FIRST), ("batch2.dat", SECOND))
CSV = b"concentration_ppm,a,gas,b\n10,1.5,1,2\n20,4,Ethanol,5.25\n5,7,2,8\n1,0.5,1,-1\n"
COUNT = itertools.count()


class ReachedError(BaseException):
    """Raised where the study would begin: the input was accepted."""


def command(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    """Exit code (0: the study would begin) and standard error; what holds for all is checked."""

    def reached(*_: Any, **__: Any) -> NoReturn:
        raise ReachedError

    synthetic = functools.partial(regression.synthetic, m=20, sensors=1)
    out, said, errors = tmp_path / f"out{next(COUNT)}", io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch, warnings.catch_warnings(),
        contextlib.redirect_stdout(said), contextlib.redirect_stderr(errors),
    ):  # fmt: skip
        patch.setattr("lnn.studies.compare.study.run_study", reached)
        patch.setattr(regression, "synthetic", synthetic)
        patch.setattr(gas_table, "Source", lambda: SMALL)
        warnings.filterwarnings("default", ".* (missing;|is damaged )", UserWarning)
        try:
            code = main(["--out", str(out), *arguments])
        except ReachedError:
            code = 0
        except SystemExit as stopped:
            code = int(str(stopped.code))
    told = errors.getvalue()
    lines = [line for line in told.splitlines() if not line.startswith("warning: ")]
    assert said.getvalue() == ""
    assert [line[:30] for line in lines] == ["python -m lnn.compare: error: "] * (code != 0), told
    assert not out.exists(), list(out.rglob("*"))
    return code, told


def one_line(error: Exception | Warning | str) -> str:
    """The text, which is of one line without control characters."""
    assert str(error).isprintable(), error
    return str(error)


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """Fail, rather than hang, after so many seconds."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail(f"no end after {seconds:g} s"))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def zipped(*members: tuple[str, str | bytes], how: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of these members, which may share a name."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", how) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, content in members:
            archive.writestr(name, content)
    return buffer.getvalue()
