"""The problem that the command's options name, its messages, and its description."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

import lnn
from lnn.core.problem import checksum
from lnn.studies.compare.command import main
from lnn.studies.compare.data import description, load_problem
from lnn.studies.compare.options import build_parser

ROWS = "id;price;area;city\n1;1,5;10;A\n2;2,5;20;B\n3;4,0;31;A\n4;;39;B\n"


def loaded(*arguments: str) -> lnn.Problem:
    return load_problem(build_parser().parse_args(arguments), show_progress=False)


@pytest.fixture
def rooms(tmp_path: Path) -> str:
    path = tmp_path / "rooms.csv"
    path.write_text(ROWS, encoding="utf-16")
    return str(path)


def test_built_in_problems() -> None:
    assert loaded().name == "synthetic, seed 0"
    assert checksum(loaded("--data", "gaussian")) == checksum(lnn.datasets.gaussian())
    assert loaded("--data", "gaussian", "--outputs", "3").k == 3
    assert loaded("--data", "two-point", "--y1", "30").name == "two points (30, 1)"


def test_a_table_of_ones_own(rooms: str) -> None:
    options = ("--label", "price", "--one-hot", "city", "--drop-columns", "id", "--drop-missing")
    with pytest.warns(UserWarning, match="1 of 4 rows, with missing cells, are left out"):
        problem = loaded("--data", rooms, *options)
    assert (problem.name, problem.m, problem.d) == ("rooms.csv, price", 3, 2)


@pytest.mark.parametrize(
    ("arguments", "message", "code"),
    [
        ([], "no column 'concentration_ppm'; .*; name the label with --label", 3),
        (["--label", "price"], r"1 cell is missing, .*\(--drop-missing\).*\(--one-hot\)", 3),
        (["--label", "price", "--drop-columns", "q"], "--drop-columns: 'q' is no column of", 2),
        (["--label", "price", "--gas", "helium"], "unknown gas 'helium'", 2),
        (["--label", "price", "--outputs", "gases"], "requires gas drift's own columns", 2),
    ],
)
def test_messages_name_options(
    rooms: str, arguments: list[str], message: str, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--data", rooms, "--describe", *arguments]) == code
    said = capsys.readouterr().err
    assert re.search(message, said), said
    assert "label_column" not in said
    assert said.count("\n") == 1


def test_description_of_data(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main(["--describe", "--out", str(tmp_path / "runs")]) == 0
    said = capsys.readouterr().out
    assert "2565 rows, 128 features, 1 output" in said
    assert not (tmp_path / "runs").exists()
    problem = lnn.Problem(np.diag([1.0, 2, 4]), np.array([0.0, 1, 3]), 2, name="mine")
    lines = dict(line.split(maxsplit=1) for line in description(problem).splitlines())
    assert lines["Data"] == "mine"
    assert lines["Condition"].startswith("number 16 ")
    assert lines["Row"].split() == ["norms", "largest", "4,", "2,", "1;", "median", "2"]
    assert lines["Labels"].startswith("minimum 0, 5 % 0.1, median 1,")
    assert (
        "the 1 row with the largest labels, of 3, hold 90 % of the loss at W = 0" in lines["Tails"]
    )


def test_the_two_points_have_their_own_targets_and_say_what_they_mean(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--data", "two-point", "--quick", "--methods", "gd", "--out", str(tmp_path)]
    assert main(arguments) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "both weights are within 0.5, 0.2, 0.1 of their labels, 10 and 1" in said
    assert "as at W = 0" not in said.partition("Seeds")[2]
    # With the usual targets the small label is not looked at, which is said.
    assert main([*arguments, "--targets", "0.1", "0.01", "--name", "usual"]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "a run can leave as at W = 0 and still reach a target: 50 % at 0.1, 50 % at 0.01" in said
