"""The terminal of a command: signals, progress bars, warnings and timing."""

from __future__ import annotations

import atexit
import os
import signal
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, NoReturn

from lnn.core.errors import DataError, one_line


class Terminated(BaseException):
    """SIGTERM, raised so that partly written files are removed."""

    code = 143


@contextmanager
def terminable() -> Iterator[None]:
    """Raise `Terminated` on the first SIGTERM, and ignore further ones while results are saved.

    Exceptions raised in a callback of the garbage collector, which JAX has, are swallowed: about
    one signal in a thousand during compilation. Such a SIGTERM or Ctrl-C is sent again.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may handle signals
        return

    def stop(*_: Any) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise Terminated

    def send_again(swallowed: sys.UnraisableHookArgs) -> None:
        if swallowed.exc_type is Terminated:
            signal.signal(signal.SIGTERM, stop)
            number = signal.SIGTERM
        elif swallowed.exc_type is KeyboardInterrupt:
            number = signal.SIGINT
        else:
            hook(swallowed)
            return
        threading.Timer(0.01, os.kill, (os.getpid(), number)).start()

    before, hook = signal.signal(signal.SIGTERM, stop), sys.unraisablehook
    sys.unraisablehook = send_again
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
        sys.unraisablehook = hook


def calm_streams() -> None:
    """Make writing to the standard streams safe: closed ones swallow, and all encode anything."""
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


@contextmanager
def printing(saved: object) -> Iterator[None]:
    """Print a result that is `saved`: readers may leave early, as `| head` does.

    Raises:
        OSError: the result could not be printed for another reason; says where it is saved.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        # The interpreter, at its end, must not fail to flush what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise OSError(f"cannot print the result: {error}; it is complete in {saved}") from error


def guarded(prog: str, run: Callable[[], int], stopped: str) -> int:
    """Run a command, report errors, or `stopped` on signals, in one line; return the exit code."""
    try:
        with warnings.catch_warnings(), terminable():
            warnings.simplefilter("always", UserWarning)  # notices, never errors here
            warnings.showwarning = one_line_warning
            return run()
    except DataError as error:
        return _fail(prog, error, 3)
    except (ValueError, ArithmeticError) as error:
        return _fail(prog, error, 2)
    except MemoryError:
        return _fail(prog, "out of memory: reduce the number or width of the runs", 2)
    except OSError as error:
        return _fail(prog, error, 1)
    except (Terminated, KeyboardInterrupt) as signalled:
        code = Terminated.code if isinstance(signalled, Terminated) else 130
        return _fail(prog, signalled.args[0] if signalled.args else stopped, code)


def leave(code: int) -> NoReturn:
    """End the process of a command with its exit code.

    After a signal the destructors of libraries are left out: a compilation that ended in an
    exception leaves XLA such that its own crash (JAX 0.10.2), which gives another exit code.
    """
    if code not in (130, Terminated.code):
        sys.exit(code)
    for thread in threading.enumerate():
        if thread is not threading.main_thread() and not thread.daemon:
            thread.join()
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):
            stream.flush()
    os._exit(code)


def _fail(prog: str, error: object, code: int) -> int:
    print(f"{prog}: error: {one_line(str(error))}", file=sys.stderr)
    return code


class Clock:
    """Seconds spent in each part of a command."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = time.monotonic()

    def stop(self, part: str) -> None:
        """Assign the time since the last call to this part."""
        now = time.monotonic()
        self.seconds[part] = now - self._last
        self._last = now

    def move(self, source: str, target: str, seconds: float) -> None:
        """Move seconds from one part to another."""
        self.seconds[source] -= seconds
        self.seconds[target] = seconds

    def __str__(self) -> str:
        total, compiling = sum(self.seconds.values()), self.seconds["compile_seconds"]
        return f"{total:.0f} s ({compiling:.1f} s compiling)"


@contextmanager
def progress_bar(show: bool) -> Iterator[Callable[[int, int, str], None] | None]:
    """Yield the update function of a progress bar on standard error, or None if not shown."""
    if not show:
        yield None
        return
    from rich import progress
    from rich.console import Console

    with progress.Progress(
        progress.TextColumn("{task.description:<42}"),
        progress.BarColumn(),
        progress.TaskProgressColumn(),
        progress.TimeRemainingColumn(),
        # Forced, for notebooks and logs: the caller decides whether to show it.
        console=Console(stderr=True, force_terminal=True),
        transient=True,
    ) as bar:
        task = bar.add_task("preparing", total=None)
        yield lambda done, total, text: bar.update(
            task, completed=done, total=total, description=text
        )


@contextmanager
def download_bar(
    show: bool, what: str = "gas drift"
) -> Iterator[Callable[[int, int | None], None] | None]:
    """Yield the update function of a download's progress bar, or None if not shown."""
    with progress_bar(show) as report:
        if report is None:
            yield None
        else:
            yield lambda done, total: report(done, total or 0, f"downloading {what}")


def one_line_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    """Print a warning in one line; replaces `warnings.showwarning`."""
    print(f"warning: {message}", file=sys.stderr)
