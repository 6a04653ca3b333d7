"""Generated bad input: one line that says why, the right exit code, and nothing written.

Hypothesis makes 320 configurations, 320 command lines, 100 options of the data and 7 x 90 damaged
files, each of which goes through the loader and the command: 1370 cases, of which the last test
counts those that differ. The input of every bug that was found stays as an example.
"""

from __future__ import annotations

import dataclasses
import functools
import gzip
import itertools
import math
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import event, example, given, settings
from hypothesis import strategies as st
from intake import BATCHES, COUNT, CSV, FIRST, SMALL, command, one_line, within, zipped

from lnn.core.checks import DTYPES, SCHEMES
from lnn.core.errors import DataError
from lnn.core.problem import checksum
from lnn.datasets import gas_table, regression
from lnn.datasets.gas_regression import gas_drift
from lnn.studies.compare.config import StudyConfig
from lnn.studies.search import TUNING_SEED_OFFSET
from lnn.transforms.catalogue import BASELINES, DEEP

BIG = 10**400
CASES: dict[str, set[str]] = {}


def examples(name: str, cases: Iterable[Any]) -> Callable[[Any], Any]:
    """Run these before anything is generated."""
    return lambda test: functools.reduce(lambda made, x: example(**{name: x})(made), cases, test)


# Configurations

ODD = (
    object(), 1j, {}, {1}, {0.1: 2}, ..., "gd", "adam", "near-zero", "float64", "a\nb", "\x1b[2J",
    b"gd", np.float32(0.5), np.int64(3), np.array([0.1, 0.2]), np.array([[1, 2]]), np.array(1 + 1j),
    np.array(["gd"]), np.array([None]), np.datetime64("2020"), range(2, 4), iter([0.1]), BIG, -BIG,
    2**31, 1_000_001, 0.25, (0.3, 0.1), (1e-3, 1.0), float,
)  # fmt: skip
SCALARS = st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS | st.sampled_from(ODD), lambda some: st.lists(some, max_size=3), max_leaves=4
)
FIELDS: dict[str, Sequence[Any]] = {  # with values that are right
    "depths": (2, [2, 3], 1.5, math.inf, np.arange(2, 4)), "methods": ("gd", ["gd", "adam"]),
    "hidden": (1, [2, 2], ()), "init": SCHEMES, "init_norm": (0.1, 1), "steps": (1, np.int64(3)),
    "rates": (4, [0.1, 1], 0.5), "rate_range": ((1e-3, 1), [1, 2.0]), "tuning_seeds": (1, 5),
    "seeds": (1, 1_000_000), "targets": (0.1, [0.1, 0.3]), "weight_decay": (0, 0.1),
    "divergence": (2, 1e3, math.inf),
    "dtype": DTYPES, "compensation": (True, False), "save_weights": (True, False),
}  # fmt: skip


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    names = draw(st.lists(st.sampled_from(sorted(FIELDS)), min_size=1, max_size=3, unique=True))
    return {name: draw(st.sampled_from(FIELDS[name]) | VALUES) for name in names}


def check_config(config: StudyConfig) -> None:
    """A configuration that is accepted can be run."""
    assert hash(StudyConfig(**dataclasses.asdict(config))) == hash(config)
    rates = config.rates if isinstance(config.rates, tuple) else (0.1 * (config.rates > 3),)
    for values in (rates, config.rate_range, config.targets, config.depths, (config.init_norm,)):
        assert len(set(values)) == len(values) > 0
        assert all(type(value) is float and value > 0 for value in values)
        assert max(values) < math.inf or values is config.depths
    assert min(config.depths) >= 1 > max(config.targets)
    assert config.rate_range[0] < config.rate_range[1]
    assert {config.init, config.dtype, *config.methods} <= {*SCHEMES, *DTYPES, *BASELINES, *DEEP}
    counts = (*config.hidden, config.steps, config.seeds, config.tuning_seeds)
    assert all(type(count) is int and count > 0 for count in counts)
    assert config.seeds <= TUNING_SEED_OFFSET
    assert 0 <= config.weight_decay < math.inf
    assert type(config.save_weights) is type(config.compensation) is bool


def shown(value: Any, text: str) -> bool:
    """Whether the text shows the value, or one that it holds."""
    value = value.tolist() if hasattr(value, "tolist") else value
    forms = {repr(value), repr(str(value))}
    if isinstance(value, int | float) and abs(value) < BIG:
        forms |= {f"{value:g}", repr(float(value))}
    inside = list(value) if isinstance(value, Sequence) and not isinstance(value, str) else []
    if not inside:
        forms |= {"()", "[]", "range = :", "no method or no depth", "list is empty"}
    return any(form in text for form in forms) or any(shown(part, text) for part in inside)


BUGS: tuple[dict[str, Any], ...] = (
    {"depths": BIG}, {"weight_decay": BIG}, {"init_norm": None}, {"methods": [["gd"]]},
    {"rates": None}, {"rates": "0.1"}, {"rates": b"ab"}, {"rate_range": 1.0},
    {"rate_range": (1, 2, 3)}, {"targets": [[0.1]]}, {"seeds": 1_000_001}, {"save_weights": "no"},
)  # fmt: skip


@settings(max_examples=320)
@given(options=configurations())
@examples("options", BUGS)
def test_configuration(options: dict[str, Any]) -> None:
    CASES.setdefault("configuration", set()).add(repr(options))
    assert {field.name for field in dataclasses.fields(StudyConfig)} == set(FIELDS)
    try:
        config = StudyConfig(**options)
    except ValueError as error:
        text = one_line(error)
    else:
        event("accepted")
        return check_config(config)
    names = [{"hidden": "width"}.get(name, name.removesuffix("s")) for name in options]
    assert any(name in text for name in names)
    assert any(shown(value, text) for value in options.values())


# Command lines

TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
GARBAGE = st.builds(str.__add__, st.sampled_from("#~é!/="), TEXT)
GOOD = (
    "--p 2", "--p 1.5", "--depth 2", "--depth 3,4", "--depth 2 5", "--depth 1,1", "--width 1",
    "--width ", "--methods gd", "--methods gd adam", "--methods gd,gd", "--init balanced",
    "--init-norm 0.1", "--weight-decay 0", "--weight-decay 1e-3", "--steps 10", "--lrs 4",
    "--lrs 24", "--lr-range 1e-3 1", "--tuning-seeds 1", "--seeds 1000000", "--targets 0.1",
    "--targets 0.3,0.1", "--outputs 1", "--dtype float64", "--name x", "--name é",
    "--name " + "n" * 200, "--quick", "--json", "--quiet", "--save-weights", "--no-compensation",
    "--checkpoint-every 1", "--fresh",
)  # fmt: skip
BAD = (
    "--p 1", "--p nan", "--p -inf", "--p 1e400", "--p ", "--depth 0.5", "--depth nan", "--depth ",
    "--width 0", "--width -1", "--width 1.5", "--width 2 3 4 5 6 7", "--methods sgd", "--methods ",
    "--init ones", "--init-norm 0", "--init-norm inf", "--weight-decay -1", "--weight-decay nan",
    "--steps 0", "--steps 1e4", "--steps 2147483648", "--lrs 3", "--lrs 1,1", "--lrs 0,1",
    "--lrs ,", "--lr-range 1 0.1", "--lr-range 0 1", "--lr-range 1", "--lr-range 1 inf",
    "--tuning-seeds 0", "--seeds 1000001", "--seeds 1.5", "--seeds " + "1" * 5000, "--targets 0",
    "--targets 1,nan", "--targets 0.1 0.1", "--outputs 0", "--outputs 2.5", "--dtype f",
    "--name a/b", "--name ..", "--name " + "n" * 201, "--name " + "é" * 101, "--gas helium",
    "--gas " + "1" * 5000, "--quick x", "--checkpoint-every 0", "--checkpoint-every nan",
    "--out FILE/x", "--out " + "o" * 300,
)  # fmt: skip
DATA = {
    "two-point": 0, "synthetic": 0, "FILE": 0, "FILE --label a": 0, "FILE --drop-constant": 0,
    "FILE --gas 1": 0, "FILE --gas 4": 3, "FILE --label none": 3, "FOLDER": 3, "PIPE": 3, "": 3,
    "/dev/zero": 3, "nowhere.csv": 3, "~no-such-user/x": 3, "no\nline": 3, "\x1b[2J": 3,
    "n" * 300 + "/x": 3, "two-point --label a": 2, "synthetic --drop-constant": 2,
    "FOLDER --label a": 2, "FILE --outputs 2": 2, "synthetic --outputs gases": 2,
    "FILE --init near-zero --init-norm 1": 2, "FILE --fresh --extend": 2,
}  # fmt: skip


@st.composite
def command_lines(draw: st.DrawFn) -> tuple[list[str], int]:
    """Data and options in any order, at most one of these wrong, and the exit code to expect."""
    names = sorted({bad.split(" ")[0] for bad in BAD} - {"--name", "--out", "--quick"})
    garbage = st.tuples(st.sampled_from(names), GARBAGE) | st.tuples(TEXT.map("--x".__add__))
    written = st.sampled_from(BAD).map(lambda bad: bad.split(" "))
    wrong = draw(st.just([]) | garbage.map(list) | written)
    right = [data for data, code in DATA.items() if code == 0]
    alone = wrong[:1] == ["--out"]  # found before the data are looked at
    data = draw(st.sampled_from(right if alone or draw(st.booleans()) else [*DATA]))
    parts = [["--data", *data.split(" ")], *([wrong] if wrong and wrong[0] not in data else [])]
    for option in draw(st.lists(st.sampled_from(GOOD), max_size=4)):
        if option.split(" ")[0] not in itertools.chain(*parts) and "--fresh" not in data:
            parts.append(option.split(" "))
    codes = {DATA[data], *([1 if alone else 2] if wrong in parts else [])}
    return [*itertools.chain(*draw(st.permutations(parts)))], 2 if 2 in codes else max(codes)


@pytest.fixture(scope="module")
def places(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("places")
    (folder / "table.csv").write_bytes(CSV.replace(b"Ethanol", b"1"))
    (folder / "folder").mkdir()
    os.mkfifo(folder / "pipe")
    names = {"FILE": "table.csv", "FOLDER": "folder", "PIPE": "pipe"}
    return {name: str(folder / path) for name, path in names.items()}


SINGLE = [(["--x\ny"], 2), *((["--data", *data.split(" ")], code) for data, code in DATA.items())]
for options, code in ((GOOD, 0), (BAD, 2)):
    for option in options:
        words = ["--data", "FILE", *option.split(" ")]
        SINGLE.append((words, 1 if "--out" in words else code))


@settings(max_examples=320)
@given(case=command_lines())
@examples("case", SINGLE)
@example(case=(["--data", "two-point", "--depth", *map(str, range(1, 120))], 2))
def test_command_line(tmp_path: Path, places: dict[str, str], case: tuple[list[str], int]) -> None:
    arguments, expected = case
    CASES.setdefault("command line", set()).add(repr(arguments))
    event(f"exit code {expected}")
    for name, path in places.items():
        arguments = [part.replace(name, path) for part in arguments]
    with within(20):
        code, told = command(tmp_path, *arguments)
    assert code == expected, told


# Data

TOKENS = (
    *("nan", "inf", "-1e400", "1e308", "-1e308", "1e-320", "", "0", "-0", "1_0", "0x10", "9" * 400),
    *(";", ":", ",", '"', " ", "\t", "\r", "\n", "\0", ":::", "1;", "1:", "2:2", "x,y\n"),
    *("é", "\u2028", "\ufeff", "\u0663", "\u00b2", "Ethanol", "gas", "a", "concentration_ppm"),
    *("2.5", "-3", "1e2", "40", " 8", "+.5", "7", "\x1b[2J"),
)  # fmt: skip
PATTERNS = {"cell": rb"[^\s:;,]+", "line": rb"[^\n]*\n"}
Edit = tuple[str, int, int, bytes]
EDIT = st.tuples(
    st.sampled_from(["flip", "cut", "insert", "delete", "repeat", "cell", "line", "field"]),
    st.integers(0, 999),
    st.integers(1, 24),
    st.sampled_from([token.encode() for token in TOKENS]) | st.binary(max_size=8),
)


def edited(data: bytes, edits: list[Edit]) -> bytes:
    """The data after some damage, each at a place and of a length."""
    for what, at, length, token in edits:
        start = at % (len(data) + 1)
        if what == "field":  # in the directory of a zip
            start = (data.find(b"PK\x01\x02") + at % 140) % (len(data) + 1)
        spans = [found.span() for found in re.finditer(PATTERNS.get(what, b"$^"), data)]
        start, stop = spans[at % len(spans)] if spans else (start, start + length)
        old, tail = data[start:stop], data[stop:]
        new = {
            "flip": bytes(byte ^ 1 << length % 8 for byte in old[:1]) + old[1:], "cut": b"",
            "insert": token + old, "delete": b"", "repeat": old * 2, "cell": token,
            "line": token + b"\n", "field": token[: len(old)] + old[len(token) :],
        }  # fmt: skip
        data = data[:start] + new[what] + tail * (what != "cut")
    return data


def written(tmp_path: Path, kind: str, edits: list[Edit]) -> Path:
    """A source of data with damage inside, or done to the archive itself where it is packed."""
    path = tmp_path / f"x{next(COUNT)}.{kind.split()[-1]}"
    inside = [] if "packed" in kind else edits
    batches = [("batch1.dat", edited(FIRST, inside)), BATCHES[1]]
    if kind == "folder":
        path.mkdir()
        for name, content in batches:
            (path / name).write_bytes(content)
        return path
    how = zipfile.ZIP_STORED if "stored" in kind else zipfile.ZIP_DEFLATED
    data = edited(CSV, inside) if "csv" in kind else zipped(*batches, how=how)
    data = gzip.compress(data, mtime=0) if "gz" in kind else data
    path.write_bytes(edited(data, edits) if "packed" in kind else data)
    return path


KINDS = ("csv", "csv.gz", "packed csv.gz", "folder", "zip", "packed zip", "packed stored zip")
DAMAGE: list[list[Edit]] = [
    [("line", 0, 1, b":::")],
    [("cell", 0, 1, b"1" * 5000)],
    [("delete", 41, 16, b"")],  # a row
    [("field", 6, 1, b"\xff")],  # a version to come
    [("field", 10, 1, b"\x0e")],  # LZMA
    [("field", 9, 1, b"\x08"), ("field", 48, 1, b"\xff")],  # a name that is not UTF-8
    *([("cell", place, 1, token)] for place in (1, 3, 6) for token in (b"nan", b"-inf", b"0x1")),
]


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=90)
@given(edits=st.lists(EDIT, min_size=1, max_size=3))
@examples("edits", DAMAGE)
def test_data_file(tmp_path: Path, kind: str, edits: list[Edit]) -> None:
    path = written(tmp_path, kind, edits)
    CASES.setdefault(kind, set()).add(repr(edits))
    with warnings.catch_warnings(record=True) as caught, within(20):
        warnings.simplefilter("always")
        try:
            problem = gas_drift(2.0, path=path, source=SMALL)
        except DataError as error:
            expected, text = 3, one_line(error)
        else:
            expected, text = 0, path.name
            whole = gas_drift(2.0, path=written(tmp_path, kind, []), source=SMALL)
            for values in (problem.x, problem.y):
                np.testing.assert_allclose(np.mean(values, axis=0), 0, atol=1e-12)
                np.testing.assert_allclose(np.std(values, axis=0), 1, atol=1e-12)
            # What rows or checksums vouch for is all there and as it was.
            if "csv" not in kind and not caught:
                assert len(gas_table.load_table(path, source=SMALL).ppm) == 7
            if "packed" in kind and not caught:
                assert checksum(problem) == checksum(whole)
    assert path.name in text
    assert all(" missing; " in one_line(warning.message) for warning in caught)
    code, told = command(tmp_path, "--data", str(path), "--p", "2")
    event(f"{kind}: exit code {code}")
    assert code == expected, told


OPTIONS = {
    **dict.fromkeys(("p", "gas", "outputs", "label_column"), gas_drift),
    "y1": functools.partial(regression.two_point, y2=1.0),
    "decay": functools.partial(regression.gaussian, m=20, d=3),
}


PAIR = np.array([0.1, 0.2])
ODD_OPTIONS = (
    ("p", BIG), ("p", np.complex128(4)), ("p", np.float32(4)), ("gas", "1" * 5000), ("y1", BIG),
    ("y1", 1e308), ("decay", BIG), ("decay", np.float32(0.5)), ("label_column", PAIR),
    ("outputs", PAIR),
)  # fmt: skip


@settings(max_examples=100)
@given(case=st.tuples(st.sampled_from(sorted(OPTIONS)), VALUES))
@examples("case", ODD_OPTIONS)
def test_option_of_the_data(tmp_path: Path, case: tuple[str, Any]) -> None:
    CASES.setdefault("option", set()).add(repr(case))
    name, value = case
    (tmp_path / "x.csv").write_bytes(CSV)
    path = {"path": tmp_path / "x.csv"} if OPTIONS[name] is gas_drift else {}
    caught: Exception | None = None
    try:
        problem = OPTIONS[name](**{name: value}, **path)
    except ValueError as error:
        caught = error
    if caught is None:
        assert np.isfinite(np.asarray(problem.x)).all()
    else:
        text = one_line(caught)
        if isinstance(caught, DataError):  # no such column, or no rows of a gas that there is
            assert name in ("label_column", "gas")
        else:
            assert f"{name} " in text


def test_there_were_a_thousand_cases() -> None:
    if len(CASES) < 3 + len(KINDS):
        pytest.skip("counts the cases of all other tests of this file")
    assert sum(map(len, CASES.values())) >= 1000, {name: len(some) for name, some in CASES.items()}
