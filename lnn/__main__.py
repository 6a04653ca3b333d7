"""`lnn COMMAND ...`, the same as `python -m lnn.COMMAND ...`."""

from __future__ import annotations

import importlib
import sys
from typing import NoReturn

from lnn.execution.terminal import leave

COMMANDS = {
    "compare": ("studies.compare", "tune and compare methods on a problem"),
    "mnist": ("studies.mnist", "train a convolutional network with and without depth"),
    "phase": ("studies.phase", "map where depth helps"),
    "width": ("studies.width", "train recurrent networks of several widths"),
    "reproduce": ("claims", "check the claims of the papers and write the report"),
}


def main() -> int:
    """Run the command named by the first argument."""
    name, arguments = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("--help", [])
    if name in COMMANDS:
        code: int = importlib.import_module(f"lnn.{COMMANDS[name][0]}.command").main(arguments)
        return code
    lines = [f"  {command:<10} {what}" for command, (_, what) in COMMANDS.items()]
    asked = name in ("-h", "--help")
    usage = "\n".join(["usage: lnn COMMAND [OPTIONS]", *lines, "See also: lnn COMMAND --help"])
    if asked:
        print(usage)
        return 0
    print(f"lnn: error: {name!r} is not a command: choose {', '.join(COMMANDS)}", file=sys.stderr)
    return 2


def script() -> NoReturn:
    """Run the command, and end this process with its exit code."""
    leave(main())


if __name__ == "__main__":
    script()
