"""`python -m lnn.reproduce`: every claim of the papers, run, measured and judged.

Imports nothing heavy at the top: `--help` and a mistyped option answer at once.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lnn.core.errors import one_line
from lnn.core.files import check_writable
from lnn.core.problem import checksum
from lnn.execution import backend
from lnn.execution.terminal import KEPT, download_bar, guarded, progress_bar
from lnn.studies.command import Parser

if TYPE_CHECKING:
    from lnn.claims.claim import Claim
    from lnn.claims.record import Record
    from lnn.core.problem import Problem

_DESCRIPTION = """\
Run the claims of five documents on depth, width and optimization: each is computed, measured and
judged, and the verdict follows from the numbers. Writes a page to read (report.html), an appendix
for a paper (appendix.tex), tables (claims.csv, claims.json) and the papers' figures, remade
(figures/)."""

_EPILOG = """\
examples:
  python -m lnn.reproduce --quick              all claims, short runs, a few minutes
  python -m lnn.reproduce --data gas-drift     on the paper's data, downloaded once
  python -m lnn.reproduce A1 A16 C             two claims, and all of a document
  python -m lnn.reproduce arora-figure-3       the claims that a figure is drawn from
  python -m lnn.reproduce --list               what there is

A claim that is done, with the same code, configuration, data and versions, is not run again: after
an interruption the same command goes on.

exit codes:
  0  done
  1  a gated claim's verdict differs from the recorded one, a claim failed, or files cannot be
     written
  2  the input is wrong
  3  data cannot be had
  130, 143  stopped by a signal; the same command goes on"""


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog="python -m lnn.reproduce",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "what", nargs="*", metavar="ID",
        help="claims (A1), documents (A) or figures (arora-figure-3); default: all",
    )  # fmt: skip
    parser.add_argument("--list", action="store_true", help="list claims and figures, run nothing")
    parser.add_argument("--quick", action="store_true", help="fewer seeds and shorter runs")
    parser.add_argument(
        "--data", default="built-in", metavar="SOURCE",
        help="the regression problem of Arora et al.'s experiments: built-in (default), gas-drift "
        "(UCI, downloaded once and checked) or the path of a copy of it",
    )  # fmt: skip
    parser.add_argument(
        "--out", metavar="DIR", help="folder of the results (default runs/reproduce[-quick])"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but errors")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """The command. Returns its exit code, which `--help` explains."""
    parser = _parser()
    options = parser.parse_args(arguments)
    return guarded(parser.prog, lambda: _run(options), KEPT)


def _run(options: argparse.Namespace) -> int:
    started = time.time()
    from lnn.claims import all_claims, all_figures
    from lnn.claims.record import load
    from lnn.claims.run import key_of, run_claims
    from lnn.results import provenance

    chosen = _chosen(options.what)
    if options.list:
        _list(chosen)
        return 0
    out = Path(options.out or f"runs/reproduce{'-quick' if options.quick else ''}")
    check_writable(out)
    gas = _gas(options)
    checksum = _checksum(gas)
    versions = provenance.versions()
    key = key_of(options.quick, checksum, versions)
    # Results of other code or settings lie in folders of their own: nothing is overwritten.
    folder = out / "records" / key
    kept = {i: found for i in chosen if (found := load(folder, i)) is not None and found.key == key}
    left = [i for i in chosen if i not in kept]
    recorded = _recorded(options.quick, gas is not None)
    workers = min(backend.cores(), max(1, len(left)))
    failed: dict[str, str] = {}
    if left:
        with progress_bar(sys.stderr.isatty() and not options.quiet) as report:
            failed = run_claims(
                left, folder, quick=options.quick, gas=gas, key=key, workers=workers,
                seconds={i: float(entry["seconds"]) for i, entry in recorded.items()},
                progress=None if report is None else _ticks(report),
            )  # fmt: skip
    made = {i: found for i in left if (found := load(folder, i)) is not None}
    records = {i: (kept | made)[i] for i in chosen if i in kept or i in made}
    differing = _differing(records, recorded)
    from lnn.claims.report.tables import print_verdicts, rows
    from lnn.claims.report.write import write_report

    undrawn = write_report(
        out, records, all_claims(), all_figures(),
        {
            **provenance.account(started),
            "quick": options.quick,
            "data": "the built-in problem" if gas is None else gas.name,
            "data_checksum": checksum,
            "workers": workers,
            "failed": failed,
            "differing": differing,
        },
    )  # fmt: skip
    if not options.quiet:
        print_verdicts(rows(records, all_claims(), failed), differing)
        reused = f", {len(kept)} of them done before" if kept else ""
        print(
            f"\n{len(records)} claims in {time.time() - started:.0f} s{reused}; "
            f"read {out}/report.html"
        )
    for name, reason in undrawn.items():
        print(f"warning: figure {name} could not be drawn: {reason}", file=sys.stderr)
    for claim_id, reason in failed.items():
        print(f"error: {claim_id} failed: {one_line(reason)}", file=sys.stderr)
    for claim_id, (before, now) in differing.items():
        print(f"error: {claim_id} is now '{now}', but '{before}' on record", file=sys.stderr)
    return 1 if failed or differing or undrawn else 0


def _ticks(report: Any) -> Any:
    return lambda done, total, text: report(round(10 * done), round(10 * total), text)


def _chosen(names: Sequence[str]) -> dict[str, Claim]:
    """The claims named, in the order of the documents."""
    from lnn.claims import DOCUMENTS, all_claims, all_figures

    claims, figures = all_claims(), all_figures()
    letters = [document.letter for document in DOCUMENTS]
    wanted: set[str] = set()
    for name in names:
        if name.upper() in claims:
            wanted.add(name.upper())
        elif name.upper() in letters:
            wanted |= {i for i in claims if i.startswith(name.upper())}
        elif name in figures:
            wanted |= set(figures[name].claims)
        else:
            raise ValueError(
                f"{name!r} is no claim, document or figure: give ids such as A1, letters "
                f"{', '.join(letters)}, or a figure such as {next(iter(figures))}; --list shows all"
            )
    return {i: claim for i, claim in claims.items() if not names or i in wanted}


def _list(chosen: Mapping[str, Claim]) -> None:
    from lnn.claims import DOCUMENTS, all_figures

    for document in DOCUMENTS:
        members = [claim for i, claim in chosen.items() if i.startswith(document.letter)]
        if members:
            print(f"{document.letter}  {document.authors}: {document.title}")
        for claim in members:
            print(f"  {claim.id:<4} {claim.title} ({claim.source})")
    print("Figures")
    for figure in all_figures().values():
        if set(figure.claims) <= set(chosen):
            print(f"  {figure.name:<28} {figure.title} (from {', '.join(figure.claims)})")


def _gas(options: argparse.Namespace) -> Problem | None:
    from lnn.datasets import regression

    if options.data == "built-in":
        return None
    path = None if options.data == "gas-drift" else options.data
    with download_bar(sys.stderr.isatty() and not options.quiet) as progress:
        problem = regression.gas_drift(2.0, path=path, progress=progress)
    return replace(problem, name=f"UCI {problem.name}")


def _checksum(gas: Problem | None) -> str:
    from lnn.datasets import regression

    return checksum(regression.synthetic(2.0) if gas is None else gas)


def _recorded(quick: bool, on_gas: bool) -> dict[str, dict[str, Any]]:
    """The committed verdicts and times of this kind of run, by id of claim."""
    text = (Path(__file__).parent / "verdicts.json").read_text(encoding="utf-8")
    kind = f"{'quick' if quick else 'full'}, {'gas drift' if on_gas else 'built-in'}"
    found: dict[str, dict[str, Any]] = json.loads(text).get(kind, {})
    return found


def _differing(
    records: Mapping[str, Record], recorded: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, str]]:
    from lnn.claims.claim import Verdict

    return {
        i: (recorded[i]["verdict"], str(found.verdict))
        for i, found in records.items()
        if i in recorded and recorded[i]["verdict"] not in (Verdict.REPORTED, str(found.verdict))
    }
