"""`python -m lnn.reproduce`. Imports nothing heavy at the top, so that `--help` answers at once."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from string import ascii_lowercase
from typing import TYPE_CHECKING, Any

from lnn.core.checks import RECORDS
from lnn.core.errors import one_line
from lnn.execution import backend
from lnn.execution.terminal import download_bar, guarded
from lnn.studies.command import Run, StudyCommand, is_shown
from lnn.studies.options import Parser, add_interruption_options, add_output_options, parsed

if TYPE_CHECKING:
    from lnn.claims.claim import Claim
    from lnn.claims.record import Record
    from lnn.core.problem import Problem

_DESCRIPTION = """\
Check the claims of five documents on depth, width and optimization: each is computed and measured,
and the verdict follows from the numbers. Pass claim IDs to run a subset; completed claims are
skipped. Writes a report (report.html), an appendix for a paper (appendix.tex), tables (claims.csv,
claims.json) and the papers' figures, reproduced (figures/)."""

_EPILOG = """\
examples:
  python -m lnn.reproduce --quick              all claims, short runs, a few minutes
  python -m lnn.reproduce --data gas-drift     with the paper's data, downloaded once
  python -m lnn.reproduce A1 A16 C             two claims and all claims of a document
  python -m lnn.reproduce arora-figure-3       the claims behind a figure
  python -m lnn.reproduce --list               list claims and figures

exit codes:
  0  done
  1  a gated claim's verdict differs from the recorded one, a claim failed, or files cannot be
     written
  2  invalid input
  3  data unavailable
  130, 143  stopped by a signal; the same command resumes"""


@dataclass(frozen=True)
class Reproduction:
    """Records and errors by claim, changed verdicts (recorded, found), and undrawn figures."""

    records: Mapping[str, Record]
    failed: Mapping[str, str]
    differing: Mapping[str, tuple[str, str]]
    undrawn: dict[str, str]
    kept: int = 0


class ReproduceCommand(StudyCommand["dict[str, Claim]", "Problem | None", Reproduction]):
    """Claims, each run by a worker in float64."""

    extendable = ("claims",)

    def parser(self) -> Parser:
        parser = Parser(prog="python -m lnn.reproduce", description=_DESCRIPTION, epilog=_EPILOG)
        parser.add_argument(
            "what", nargs="*", metavar="ID",
            help="claims (A1), documents (A; R: the review, L: this project's own statements) or "
            "figures (arora-figure-3); default: all",
        )  # fmt: skip
        parser.add_argument("--list", action="store_true", help="list claims and figures and exit")
        parser.add_argument("--quick", action="store_true", help="fewer seeds and shorter runs")
        parser.add_argument(
            "--data", default="built-in", metavar="SOURCE",
            help="the regression problem of Arora et al.'s experiments: built-in (default), "
            "gas-drift (UCI, downloaded once and verified) or the path of a copy",
        )  # fmt: skip
        parser.elsewhere.add("list")
        add_output_options(parser, "reproduce, with the claims if given, and -quick")
        add_interruption_options(parser, "claims")
        return parser

    def main(self, arguments: Sequence[str] | None = None) -> int:
        parser = self.parser()
        options = parsed(parser, arguments)
        if options.list:
            return guarded(parser.prog, lambda: _list(chosen(options.what)), "stopped")
        return self.guarded(parser, options)

    def configuration(self, options: argparse.Namespace) -> dict[str, Claim]:
        return chosen(options.what)

    def settings(self, options: argparse.Namespace, config: dict[str, Claim]) -> dict[str, Any]:
        """Return claims, length and data; file names without folders."""
        return {"claims": list(config), "quick": options.quick, "data": Path(options.data).name}

    def default_name(self, options: argparse.Namespace, config: dict[str, Claim]) -> str:
        """Return a name such as reproduce-A1-A16-quick."""
        return "-".join(["reproduce", *options.what[:12], *["quick"] * options.quick])

    def load_data(
        self, options: argparse.Namespace, config: dict[str, Claim]
    ) -> tuple[Problem | None, str]:
        """Return the regression problem, None for the built-in one, and its checksum."""
        from lnn.core.problem import checksum
        from lnn.datasets import regression
        from lnn.datasets.gas_regression import gas_drift

        if options.data == "built-in":
            return None, checksum(regression.synthetic(2.0))
        path = None if options.data == "gas-drift" else options.data
        with download_bar(is_shown(options)) as progress:
            problem = gas_drift(2.0, path=path, progress=progress)
        problem = replace(problem, name=f"UCI {problem.name}")
        return problem, checksum(problem)

    def session(self) -> dict[str, Any]:
        """Claims are run by CPU workers, whatever devices there are."""
        from lnn.results import provenance

        return provenance.session("CPU workers")

    def is_outdated(self, manifest: Mapping[str, Any], key: str) -> bool:
        """Return True also if claims failed: they are run again."""
        return super().is_outdated(manifest, key) or bool(manifest.get("failed"))

    def compute(self, run: Run[dict[str, Claim], Problem | None]) -> Reproduction:
        from lnn.claims.run import run_claims

        recorded = _recorded(run.options.quick, run.data is not None)
        seconds = {i: float(entry["seconds"]) for i, entry in recorded.items()}
        records, failed, kept = run_claims(
            run.config, run.workspace, run.earlier, quick=run.options.quick, gas=run.data,
            data=run.checksum, workers=backend.cores(), seconds=seconds, progress=run.progress,
        )  # fmt: skip
        return Reproduction(records, failed, _differing(records, recorded), {}, kept)

    def key(self, options: argparse.Namespace, config: dict[str, Claim], checksum: str) -> str:
        """Identify what all claims depend on; each also has its own key."""
        from lnn.claims.run import key_of
        from lnn.results import provenance

        return key_of(config.values(), options.quick, checksum, provenance.versions())

    def write(
        self, found: Reproduction, folder: Path, run: Run[dict[str, Claim], Problem | None]
    ) -> dict[str, Any]:
        from lnn.claims import all_claims, all_figures
        from lnn.claims.report.write import write_report
        from lnn.results import provenance

        facts = provenance.account(run.started)
        undrawn = write_report(
            folder, found.records, all_claims(), all_figures(),
            {
                **facts,
                "quick": run.options.quick,
                "data": "the built-in problem" if run.data is None else run.data.name,
                "data_checksum": run.checksum,
                "workers": backend.cores(),
                "failed": found.failed,
                "differing": found.differing,
            },
        )  # fmt: skip
        found.undrawn.update(undrawn)
        return {**facts, "failed": found.failed, "undrawn": undrawn}

    def load(self, folder: Path) -> Reproduction:
        from lnn.claims import all_claims
        from lnn.claims.record import load

        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        paths = {path.stem: path.parent for path in (folder / RECORDS).rglob("*.json")}
        loaded = {i: load(paths[i], i) for i in all_claims() if i in paths}
        records = {i: record for i, record in loaded.items() if record is not None}
        config = manifest["config"]
        recorded = _recorded(config["quick"], config["data"] != "built-in")
        return Reproduction(records, {}, _differing(records, recorded), manifest["undrawn"])

    def show(self, found: Reproduction) -> None:
        from lnn.claims import all_claims
        from lnn.claims.report.tables import print_verdicts, rows

        print_verdicts(rows(found.records, all_claims(), found.failed), found.differing)
        reused = f", {found.kept} of them completed earlier" if found.kept else ""
        print(f"\n{len(found.records)} claims{reused}; read report.html")

    def as_json(self, found: Reproduction) -> str:
        from lnn.claims import all_claims
        from lnn.claims.report.tables import claims_json, rows

        return claims_json(rows(found.records, all_claims(), found.failed))

    def exit_code(self, found: Reproduction) -> int:
        """Report failed claims, changed verdicts and missing figures, and return 1 if any."""
        for name, reason in found.undrawn.items():
            print(f"warning: figure {name} could not be drawn: {reason}", file=sys.stderr)
        for claim_id, reason in found.failed.items():
            print(f"error: {claim_id} failed: {one_line(reason)}", file=sys.stderr)
        for claim_id, (before, now) in found.differing.items():
            print(f"error: {claim_id} is '{now}', but recorded as '{before}'", file=sys.stderr)
        return 1 if found.failed or found.differing or found.undrawn else 0


def chosen(names: Sequence[str]) -> dict[str, Claim]:
    """Return the named claims, in the order of the documents."""
    from lnn.claims import DOCUMENTS, all_claims, all_figures

    claims, figures = all_claims(), all_figures()
    letters = [document.letter for document in DOCUMENTS]
    wanted: set[str] = set()
    for name in names:
        # D17 stands for D17a and all that follow it.
        own = {i for i in claims if name.upper() in (i.upper(), i.rstrip(ascii_lowercase))}
        if own:
            wanted |= own
        elif name.upper() in letters:
            wanted |= {i for i, claim in claims.items() if name.upper() in claim.documents}
        elif name in figures:
            wanted |= set(figures[name].claims)
        else:
            raise ValueError(
                f"{name!r} is not a claim, document or figure: give ids such as A1, letters "
                f"{', '.join(letters)}, or a figure such as {next(iter(figures))}; --list shows all"
            )
    return {i: claim for i, claim in claims.items() if not names or i in wanted}


def _list(chosen: Mapping[str, Claim]) -> int:
    from lnn.claims import DOCUMENTS, all_figures

    for document in DOCUMENTS:
        members = [claim for claim in chosen.values() if document.letter in claim.documents]
        if members:
            print(f"{document.letter}  {document.authors}: {document.title}")
        for claim in members:
            print(f"  {claim.id:<4} {claim.title} ({claim.source})")
    print("Figures")
    for figure in all_figures().values():
        if set(figure.claims) <= set(chosen):
            print(f"  {figure.name:<28} {figure.title} (from {', '.join(figure.claims)})")
    return 0


def _recorded(quick: bool, on_gas: bool) -> dict[str, dict[str, Any]]:
    """Return the committed verdicts and times for this kind of run, by id of claim."""
    from lnn.claims.recorded import recorded

    return recorded()[f"{'quick' if quick else 'full'}, {'gas drift' if on_gas else 'built-in'}"]


def _differing(
    records: Mapping[str, Record], recorded: Mapping[str, Mapping[str, Any]]
) -> dict[str, tuple[str, str]]:
    """Return claims with another verdict than the recorded one: both in words."""
    from lnn.claims import all_claims
    from lnn.claims.recorded import differs, told, worded

    found = {i: told(all_claims()[i], record.checks) for i, record in records.items()}
    return {
        i: (worded(recorded[i]["verdicts"]), worded(now))
        for i, now in found.items()
        if i in recorded and differs(recorded[i]["verdicts"], now)
    }


main = ReproduceCommand().main
