"""Options shared by the commands of all studies, and `--config`. Imports no JAX."""

from __future__ import annotations

import argparse
import json
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from rich_argparse import RawDescriptionRichHelpFormatter

from lnn.core.errors import one_line

T = TypeVar("T")


class HelpFormatter(RawDescriptionRichHelpFormatter):
    """Coloured help in a terminal, where brackets are literal."""

    text_markup = help_markup = False
    group_name_formatter = str


class Parser(argparse.ArgumentParser):
    """A parser with one-line errors, exit code 2; options in `elsewhere` change no result."""

    def __init__(self, **keywords: Any) -> None:
        super().__init__(**keywords, formatter_class=HelpFormatter)
        self.elsewhere = {"help"}

    def error(self, message: str) -> NoReturn:
        """Print the error and exit."""
        self.exit(2, f"{self.prog}: error: {one_line(message)}; --help explains every option\n")

    @property
    def defining(self) -> dict[str, argparse.Action]:
        """Options that define a study, by long name without dashes."""
        return {
            action.option_strings[-1].lstrip("-") if action.option_strings else action.dest: action
            for action in self._actions
            if action.dest not in self.elsewhere
        }


class Flatten(argparse.Action):
    """Accepts --depth 2 3 and --depth 2,3 alike."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        """Set the attribute to all values."""
        setattr(namespace, self.dest, tuple(item for part in values for item in part))


def listed(kind: Callable[[str], Any], what: str) -> Callable[[str], list[Any]]:
    """Return a parser of comma-separated values, whose errors say what is expected."""

    def parse(text: str) -> list[Any]:
        try:
            return [kind(part) for part in text.split(",") if part]
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r}: {what}") from error

    return parse


def _one(kind: Callable[[str], T], what: str) -> Callable[[str], T]:
    def parse(text: str) -> T:
        try:
            return kind(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not {what}") from error

    return parse


number, whole = _one(float, "a number"), _one(int, "a whole number")
"""Parsers of a number and of a whole number."""


def seconds(text: str) -> float:
    """Parse a time in seconds."""
    value = number(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text!r}: give a positive number of seconds")
    return value


def add_output_options(
    parser: Parser, default_name: str, before: Callable[[Any], None] = lambda group: None
) -> None:
    """Add the group "the output"; `before` adds the study's own options first."""
    group = parser.add_argument_group("the output")
    before(group)
    added = [
        group.add_argument("--out", default="runs", help="results folder (default runs)"),
        group.add_argument(
            "--name", help=f"subfolder of this study (default {default_name})"
        ),
        group.add_argument(
            "--json", action="store_true", help="print the result as JSON only"
        ),
        group.add_argument("--quiet", action="store_true", help="print errors only"),
        group.add_argument(
            "--config", metavar="FILE",
            help="read options by their long names from a TOML file, such as the study.toml in "
            "every results folder; the command line takes precedence",
        ),
    ]  # fmt: skip
    parser.elsewhere.update(action.dest for action in added)


def add_interruption_options(
    parser: Parser, extendable: str, before: Callable[[Any], None] = lambda group: None
) -> None:
    """Add the group "interruptions"; `--extend` may change the settings in `extendable`."""
    group = parser.add_argument_group(
        "interruptions",
        "The same command resumes after an interruption, with bitwise the same result; a complete\n"
        "study is printed again without computation.",
    )
    before(group)
    mirror = group.add_argument(
        "--mirror", metavar="DIR",
        help="also copy computed work and results to DIR, such as a mounted drive; a lost study "
        "is restored from there",
    )  # fmt: skip
    either = group.add_mutually_exclusive_group()
    fresh = either.add_argument(
        "--fresh", action="store_true",
        help="move the folder to NAME.1, or a higher number, and start over",
    )  # fmt: skip
    extend = either.add_argument(
        "--extend",
        action="store_true",
        help=f"set aside a study with other {extendable}, and compute only missing parts",
    )
    parser.elsewhere.update(action.dest for action in (mirror, fresh, extend))


def parsed(parser: Parser, arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line, with defaults from the file of `--config`."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    first = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    first.add_argument("--config")
    file = first.parse_known_args(given)[0].config
    if file is not None:
        _set_defaults(parser, Path(file))
    return parser.parse_args(given)


def _set_defaults(parser: Parser, file: Path) -> None:
    """Use the file's values as defaults, validated as if given as options."""
    try:
        found = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        parser.error(f"--config {file}: {getattr(error, 'strerror', None) or error}")
    place = {action.dest: action for action in parser._actions if action.dest in ("out", "name")}
    known, tokens, dests = parser.defining | place, [], []
    for name, value in found.items():
        action = known.get(name.replace("_", "-"))
        if action is None:
            parser.error(f"--config {file}: {name!r} is unknown: choose from {', '.join(known)}")
        if action.nargs == 0 and not isinstance(value, bool):
            parser.error(f"--config {file}: {name} = {value!r}: give true or false")
        if value is not False:
            tokens += _tokens(action, value)
            dests.append(action.dest)
    given = parser.parse_args(tokens)
    parser.set_defaults(**{dest: getattr(given, dest) for dest in dests})


def _tokens(action: argparse.Action, value: Any) -> list[str]:
    values = [str(item) for item in value] if isinstance(value, list) else [str(value)]
    if action.nargs == 0:
        values = []
    elif action.nargs is None:
        values = [",".join(values)]
    return [*action.option_strings[-1:], *values]


def study_toml(
    parser: Parser, options: argparse.Namespace, config: object, idle: Collection[str] = ()
) -> str:
    """Return every option that defines the study, except `idle` ones, as a file for `--config`."""
    lines = [f"# Repeat this study: {parser.prog} --config study.toml"]
    for name, action in parser.defining.items():
        value = getattr(config, action.dest, getattr(options, action.dest))
        if action.nargs == 0:
            value = value == action.const or None
        if value is not None and value != () and action.dest not in idle:
            lines.append(f"{name} = {_toml(value)}")
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value)
    if isinstance(value, Iterable):
        return f"[{', '.join(map(_toml, value))}]"
    return repr(value)
