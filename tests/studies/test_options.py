"""Options from a file, and the file that repeats a study."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from lnn.studies.compare.command import CompareCommand
from lnn.studies.compare.config import StudyConfig
from lnn.studies.options import Parser, parsed, study_toml

COMMAND = CompareCommand()


def written(tmp_path: Path, text: str) -> str:
    file = tmp_path / "study.toml"
    file.write_text(text)
    return str(file)


def config_of(parser: Parser, *arguments: str) -> StudyConfig:
    return COMMAND.configuration(parsed(parser, arguments))


def test_values_of_every_kind_are_read_and_the_command_line_takes_precedence(
    tmp_path: Path,
) -> None:
    file = written(
        tmp_path,
        'data = "two-point"\np = 3\ndepth = [2, 1.5, inf]\nlrs = [0.1, 0.2]\ninit_norm = 1e-2\n'
        "no-compensation = true\nsave-weights = false\n"
        'methods = ["gd", "end-to-end"]\nname = "mine"\n',
    )
    options = parsed(COMMAND.parser(), ["--config", file, "--p", "2.5", "--seeds", "3"])
    assert (options.data, options.p, options.name) == ("two-point", 2.5, "mine")
    config = COMMAND.configuration(options)
    assert config.depths == (2.0, 1.5, float("inf"))
    assert config.rates == (0.1, 0.2)
    assert config.init_norm == 0.01
    assert (config.compensation, config.save_weights, config.seeds) == (False, False, 3)


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("--quick", "--depth", "2", "3", "--p", "2"),
        ("--depth", "1.5,inf", "--methods", "gd", "end-to-end", "--lrs", "0.001,0.01"),
        ("--width", "3", "--init", "near-zero", "--dtype", "float64", "--lr-range", "1e-4", "1"),
        ("--no-compensation", "--save-weights", "--weight-decay", "0.1", "--targets", "0.5,0.2"),
        ("--data", "gas-drift", "--outputs", "gases", "--drop-constant"),
    ],
)
def test_a_study_is_repeated_by_its_file(arguments: tuple[str, ...], tmp_path: Path) -> None:
    parser = COMMAND.parser()
    options = parsed(parser, arguments)
    config = COMMAND.configuration(options)
    text = study_toml(parser, options, config, COMMAND.idle(config))
    again = parsed(COMMAND.parser(), ["--config", written(tmp_path, text)])
    assert COMMAND.configuration(again) == config
    assert COMMAND.settings(again, config) == COMMAND.settings(options, config)
    assert study_toml(COMMAND.parser(), again, config, COMMAND.idle(config)) == text
    for name in ("out", "name", "mirror", "extend", "config", "processes"):
        assert name not in tomllib.loads(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("speed = 3", "'speed' is unknown: choose from data, p, "),
        ("p = [", "study.toml: "),
        ('p = "much"', "argument --p: 'much' is not a number"),
        ("quick = 3", "quick = 3: give true or false"),
        ("help = true", "'help' is unknown"),
    ],
)
def test_what_is_wrong_in_a_file_is_told(
    text: str, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        parsed(COMMAND.parser(), ["--config", written(tmp_path, text)])
    assert stopped.value.code == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.count("\n") == 1


def test_a_missing_file_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed(COMMAND.parser(), ["--config", str(tmp_path / "none.toml")])
    assert "none.toml: No such file or directory" in capsys.readouterr().err


def test_help_keeps_brackets_and_the_order_of_groups() -> None:
    text = COMMAND.parser().format_help()
    assert "python -m lnn.compare [-h]" in text
    assert text.index("the problem:") < text.index("the output:") < text.index("interruptions:")
