"""The benchmarks run and say what they should. How fast anything is never decides a test."""

from __future__ import annotations

import csv
import importlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType, SimpleNamespace

import jax
import pytest

import lnn

FOLDER = Path(__file__).resolve().parents[1] / "benchmarks"
SCRIPTS = (
    "drop_in",
    "durability",
    "engine",
    "gpu",
    "growth",
    "peers",
    "precision",
    "rules",
    "study",
    "tpu",
    "width",
)
UNMEASURED = ("gpu",)
"""Scripts for machines that nobody had yet: no rows on record."""
KEYS = {"benchmark", "metric", "value", "unit", "bar", "ok"}


@pytest.fixture
def harness(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(FOLDER))
    return importlib.import_module("_harness")


@pytest.fixture
def measure(harness: ModuleType) -> ModuleType:
    return sys.modules["_measure"]


def test_every_script_is_run_here_and_explained_in_the_readme() -> None:
    scripts = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
    assert tuple(scripts) == SCRIPTS
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in SCRIPTS:
        assert f"python benchmarks/{name}.py" in text


@pytest.mark.slow
@pytest.mark.parametrize("name", SCRIPTS)
def test_quick_form_prints_a_table_and_json_lines(name: str, tmp_path: Path) -> None:
    options = ["--out", str(tmp_path)] if name == "growth" else []
    done = subprocess.run(
        [sys.executable, str(FOLDER / f"{name}.py"), "--quick", "--rounds", "1", *options],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"JAX_PLATFORMS": "cpu", **os.environ},
        timeout=900,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if done.stdout.startswith(f"{name}: skipped: "):
        pytest.skip(done.stdout.strip())
    assert "| metric" in done.stdout
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len({line["metric"] for line in lines}) == len(lines)
    assert any(line["bar"] is not None for line in lines)
    for line in lines:
        assert line.keys() >= KEYS
        assert line["benchmark"] == name
        assert line["low"] <= line["value"] <= line["high"]
        if line["bar"] is None:
            assert line["ok"] is True
        elif line["better"] == "higher":
            assert line["ok"] is (line["value"] >= line["bar"])
        else:
            assert line["ok"] is (line["value"] <= line["bar"])
    if name == "growth":
        assert {path.name for path in tmp_path.iterdir()} == {"growth.pdf", "growth.png"}


def test_ratio_is_of_the_medians_and_its_spread_of_the_rounds(measure: ModuleType) -> None:
    above, below = measure.Timing((1.0, 2.0, 6.0)), measure.Timing((1.0, 1.0, 2.0))
    assert measure.ratio(above, below) == measure.Spread(2.0, 1.0, 3.0)


def test_rate_is_lowest_in_the_slowest_round(measure: ModuleType) -> None:
    assert measure.Timing((1.0, 2.0, 4.0)).rate(8.0) == measure.Spread(4.0, 2.0, 8.0)


def test_missed_bars_are_told(
    harness: ModuleType, measure: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = tmp_path / "rows.csv"
    bench = harness.Bench("made-up", False, 5, False, None, csv=str(table))
    bench.add("fast enough", 2.0, "x", measure.at_least(1.5))
    bench.add("too slow", measure.Spread(3.0, 2.0, 4.0), "s", measure.at_most(2.5))
    bench.add("no bar", 1.0, "s")
    bench.finish()
    out = capsys.readouterr().out
    lines = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert [line["ok"] for line in lines] == [True, False, True]
    assert [line["bar"] for line in lines] == [1.5, 2.5, None]
    assert "2 to 4" in out
    assert "NO" in out
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["ok"] for row in rows] == ["True", "False", "True"]
    assert [row["bar"] for row in rows] == ["1.5", "2.5", ""]


def test_rows_on_record_add_up_to_the_readme(harness: ModuleType) -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name in SCRIPTS:
        [line] = [line for line in text.splitlines() if line.startswith(f"| [{name}]")]
        if name in UNMEASURED:
            assert "not measured" in line
            assert not (FOLDER / f"{name}.csv").exists()
            continue
        with (FOLDER / f"{name}.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert tuple(rows[0]) == harness.COLUMNS
        barred = [row for row in rows if row["bar"]]
        met = [row["ok"] for row in barred].count("True")
        assert f"| {met} of {len(barred)} |" in line
        assert f"| [{len(rows)}]({name}.csv) |" in line


def test_rows_come_as_soon_as_they_are_known_where_a_run_may_be_cut_off(
    harness: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    table = tmp_path / "rows.csv"
    bench = harness.Bench("made-up", False, 5, False, None, csv=str(table), at_once=True)
    for count in (1, 2):
        bench.add(f"row {count}", float(count), "s")
        assert json.loads(capsys.readouterr().out)["metric"] == f"row {count}"
        assert len(table.read_text("utf-8").splitlines()) == 1 + count
    bench.finish()
    out = capsys.readouterr().out
    assert "| row 2" in out
    assert "{" not in out


def test_loops_are_timed_per_step_with_compile_time_apart(harness: ModuleType) -> None:
    calls: list[int] = []

    def sleeper(steps: int) -> None:
        calls.append(steps)
        time.sleep(1e-4 * steps)

    bench = harness.Bench("made-up", False, 3, False, None)
    found = bench.time_loops({"sleeper": sleeper}, seconds=1e-3)["sleeper"]
    assert len(found.rounds) == 3
    assert len(set(calls[-3:])) == 1
    assert found.compile_seconds is not None


@pytest.mark.parametrize(("load", "probes"), [(1e9, [1.0]), (0.0, [1.0, 1.2])])
def test_a_busy_machine_is_warned_of(harness: ModuleType, load: float, probes: list[float]) -> None:
    bench = harness.Bench("made-up", False, 3, False, None, probes=probes, load=load)
    assert "not quiet" in " ".join(bench.warnings())
    assert not harness.Bench("made-up", False, 3, False, None, probes=[1.0], load=0.0).warnings()


LOOP = """
%body (a: f32[64,128], low: f32[64,128], x: f32[64,128]) -> f32[64,128] {
  %a = f32[64,128]{1,0:T(8,128)} parameter(0)
  %convolution.1 = f32[64,128]{1,0:T(8,128)} convolution(%x, %w), dim_labels=bf_io->bf, PRECISION
  %b = f32[64,128]{1,0:T(8,128)} subtract(%low, %convolution.1), metadata={op_name="sub"}
  %total = f32[64,128]{1,0:T(8,128)} add(%a, %b), metadata={op_name="add"}
  %part = f32[64,128]{1,0:T(8,128)} subtract(%total, %a), metadata={op_name="sub"}
  %rest = f32[64,128]{1,0:T(8,128)} subtract(%total, %part), metadata={op_name="sub"}
  %lost.1 = f32[64,128]{1,0:T(8,128)} subtract(%a, %rest), metadata={op_name="sub"}
  %lost.2 = f32[64,128]{1,0:T(8,128)} subtract(%b, %part), metadata={op_name="sub"}
  ROOT %new_low = f32[64,128]{1,0:T(8,128)} add(%lost.1, %lost.2), metadata={op_name="add"}
}
"""
HIGHEST = "operand_precision={highest,highest}"


def test_compiled_programs_are_read(harness: ModuleType) -> None:
    tpu = importlib.import_module("tpu")
    good = LOOP.replace("PRECISION", HIGHEST)
    assert tpu.audit(good) == tpu.Audit(products=1, exact=1, narrow=0, traffic=[], sums=1)
    assert tpu.audit(good * 2).sums == 2
    assert tpu.audit(LOOP.replace("PRECISION", "metadata={}")).exact == 0
    assert tpu.audit(LOOP.replace("PRECISION", "operand_precision={high,high}")).exact == 0
    assert tpu.audit(good.replace("%a = f32", "%a = bf16")).narrow == 1
    for line in good.splitlines():
        if "lost" in line or "part" in line or "rest" in line:
            assert tpu.audit(good.replace(line, "")).sums == 0
    more = """
  %all-reduce.1 = (f32[64]{0}, f32[64,128]{1,0}) all-reduce(%b, %total), channel_id=1
  %all-gather-start = f32[64]{0} all-gather-start(%b), channel_id=2
  %copy-start = (f32[64]{0:S(1)}, f32[64]{0}, u32[]{:S(2)}) copy-start(%b)
  %copy-done = f32[64]{0:T(128)S(5)} copy-done(%copy-start)"""
    assert tpu.audit(good + more).traffic == ["all-reduce", "all-gather", "host memory"]


def test_without_libtpu_one_line_says_so(
    harness: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tpu = importlib.import_module("tpu")
    monkeypatch.setattr(sys, "argv", ["tpu.py"])
    monkeypatch.setattr(tpu.importlib.util, "find_spec", lambda name: None)
    tpu.main()
    assert capsys.readouterr().out == (
        "tpu: skipped: libtpu is not installed (pip install 'lnn[tpu]')\n"
    )


@pytest.fixture
def gpu(harness: ModuleType, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    found = importlib.import_module("gpu")
    for name, value in found.ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    return found


def test_without_a_gpu_one_line_says_so(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "argv", ["gpu.py"])
    gpu.main()
    assert capsys.readouterr().out == (
        "gpu: skipped: JAX finds no GPU (pip install 'jax[cuda12]'); --quick needs none\n"
    )


def test_a_section_without_time_says_what_it_leaves_out(
    gpu: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    bench = sys.modules["_harness"].Bench("gpu", True, 1, False, None)
    problem, clock = lnn.datasets.two_point(3.0, 1.0), gpu.Clock(bench)
    monkeypatch.setattr(gpu, "ENDS", dict.fromkeys(gpu.ENDS, 0))
    gpu.measure_engine(bench, clock, problem, {})
    gpu.measure_drop_in(bench, clock)
    gpu.measure_study(bench, clock)
    gpu.measure_mnist(bench, clock)
    gpu.run_tests(bench, clock, jax.devices()[0])
    assert bench.rows == []
    assert [line.rpartition(": ")[2] for line in capsys.readouterr().err.splitlines()] == [
        "engine, 1 run", "drop-in, 128 x 128, 32 examples a step", "the default study",
        "mnist, normal", "mnist, rule", "the tests",
    ]  # fmt: skip


def test_failures_are_printed_at_once_and_outcomes_kept(
    gpu: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    plugin, outcomes = sys.modules["_at_once"], tmp_path / "outcomes"
    monkeypatch.setenv(plugin.OUTCOMES, str(outcomes))
    for when, outcome in (("setup", "skipped"), ("setup", "passed"), ("call", "failed")):
        plugin.pytest_runtest_logreport(
            SimpleNamespace(
                when=when, outcome=outcome, failed=outcome == "failed", nodeid="test.py::name",
                longreprtext="because",
            )
        )  # fmt: skip
    assert outcomes.read_text("utf-8").split() == ["skipped", "failed"]
    assert capsys.readouterr().out == "\ntest.py::name, call:\nbecause\n"


def operation(name: str, text: str, cycles: int, scope: str = "") -> str:
    return (
        f'  %{name} = f32[8]{{0:T(128)}} {text}, metadata={{op_name="jit(advance)/{scope}/add"}}, '
        f'backend_config={{"window_config":{{"estimated_cycles":"{cycles}"}}}}'
    )


def computation(head: str, *lines: str) -> str:
    return "\n".join((f"{head} (param: f32[8]) -> f32[8] {{", *lines, "}"))


def added(name: str, cycles: int, scope: str) -> str:
    return operation(name, "add(%param, %param)", cycles, scope)


HLO = "\n".join(
    (
        "HloModule jit_advance",
        computation("%fused", added("inside", 7_000_000, "methods")),
        computation("%cheap", added("one", 10, "pass")),
        computation("%dear", added("two", 30, "pass")),
        computation("%tile", added("three", 100, "pass")),
        computation("%sweep", added("four", 1000, "methods")),
        computation(
            "%step",
            operation("five", "fusion(%param), kind=kLoop, calls=%fused", 1, "methods"),
            operation("six", "dot(%param, %param)", 2, "pass"),
            operation("seven", "copy(%param)", 3),
            "  %choice = f32[8] conditional(%p, %a, %b), branch_computations={%cheap, %dear}",
            "  %tiles = f32[8] while(%param), condition=%c, body=%tile, "
            'backend_config={"known_trip_count":{"n":"5"}}',
            "  ROOT %sweeps = f32[8] while(%param), condition=%c, body=%sweep",
        ),
        computation(
            "%segment",
            operation("eight", "dot(%param, %param)", 9_000_000, "pass"),
            "  ROOT %steps = f32[8] while(%param), condition=%c, body=%step",
        ),
        computation(
            "ENTRY %main", "  ROOT %segments = f32[8] while(%param), condition=%c, body=%segment"
        ),
    )
)


def test_cycles_of_a_step_are_added_up_by_part(harness: ModuleType) -> None:
    reader = importlib.import_module("_cycles")
    step = reader.step_cycles(HLO)
    assert dict(step.cycles) == {
        "methods": 1 + 1000, "pass": 2 + 30 + 5 * 100, "bookkeeping": 3,
    }  # fmt: skip
    assert (step.total, step.loops) == (1536, 1)


def test_a_step_that_costs_twice_as_much_shows(harness: ModuleType) -> None:
    reader = importlib.import_module("_cycles")
    twice = HLO.replace('cycles":"2"', 'cycles":"1538"')
    assert reader.step_cycles(twice).total == 2 * reader.step_cycles(HLO).total
    with pytest.raises(ValueError, match="0 loops over steps"):
        reader.step_cycles(HLO.replace("steps = f32[8] while", "steps = f32[8] copy"))
