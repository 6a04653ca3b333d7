"""Run a copy of figures/colab.ipynb without Jupyter, and check that it did what it says.

Its cells go through IPython in this process, in order, on the built-in data in a first-look study;
then those cells that Colab makes a difference to go once more, with Colab's modules played here.
"""

from __future__ import annotations

import hashlib
import importlib
import json
import os
import re
import sys
import time
import types
import zipfile
from pathlib import Path
from typing import Any

SETTINGS = 'DATA, DEPTHS, P, NAME, QUICK, DRIVE = "synthetic", "2", 4.0, "", True, True'
STUDY = "synthetic-p4-depth2-quick"
PACKED = ("appendix.tex", "figure.pdf", "summary.csv", "manifest.json")


class Said:
    """What a cell has shown: its text, and everything it displayed by type."""

    def __init__(self, captured: Any) -> None:
        self.text: str = captured.stdout
        self.shown = [(kind, o.data[kind]) for o in captured.outputs for kind in o.data]
        check("Traceback" not in captured.stdout + captured.stderr, captured.stderr)

    def html(self) -> str:
        """All that was shown as HTML."""
        return "".join(data for kind, data in self.shown if kind == "text/html")


def check(condition: object, what: str) -> None:
    """Fail with a sentence, whatever Python's options are."""
    if not condition:
        raise SystemExit(f"notebook: {what}")


def code_cells(notebook: Path) -> dict[str, str]:
    """The code of a notebook by the ids of its cells; it must have been saved without outputs."""
    book = json.loads(notebook.read_text(encoding="utf-8"))
    check((book["nbformat"], book["nbformat_minor"]) >= (4, 5), "its format has no cell ids")
    ids = [cell["id"] for cell in book["cells"]]
    check(len(set(ids)) == len(ids), f"ids are not unique: {ids}")
    check(all(re.fullmatch(r"[a-z-]{1,64}", name) for name in ids), f"ids are not names: {ids}")
    cells = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    for cell in cells:
        check(cell["outputs"] == [], f"cell {cell['id']} was saved with its outputs")
        check(cell["execution_count"] is None, f"cell {cell['id']} was saved with its count")
    return {cell["id"]: "".join(cell["source"]) for cell in cells}


def start() -> Any:
    """An IPython shell that keeps no history and reads no one's settings."""
    os.environ["IPYTHONDIR"] = str(Path("ipython").absolute())
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    return InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))


def run(shell: Any, name: str, code: str) -> Said:
    """Run a cell as a notebook does, and show what it says."""
    from IPython.utils.capture import capture_output

    started = time.monotonic()
    with capture_output() as captured:
        result = shell.run_cell(code)
    print(f"--- {name}, {time.monotonic() - started:.1f} s\n{captured.stdout}", flush=True)
    error = result.error_before_exec or result.error_in_exec
    check(result.success, f"cell {name} has failed: {error!r}\n{captured.stderr}")
    return Said(captured)


def on_colab() -> list[tuple[str, str]]:
    """Put modules in the place of Colab's, and list the calls that they will get."""
    calls: list[tuple[str, str]] = []
    for name in ("google", "google.colab", "google.colab.drive", "google.colab.files"):
        sys.modules[name] = types.ModuleType(name)
    colab: Any = sys.modules["google.colab"]
    colab.drive, colab.files = sys.modules["google.colab.drive"], sys.modules["google.colab.files"]
    colab.drive.mount = lambda path: calls.append(("mount", path))
    colab.files.download = lambda path: calls.append(("download", path))
    return calls


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file in a folder."""
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def main(notebook: str, folder: str) -> None:
    """Run it all in `folder`."""
    cells = code_cells(Path(notebook))
    Path(folder).mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    for name in ("http_proxy", "https_proxy"):
        os.environ[name] = "http://127.0.0.1:9"  # nobody there: the built-in data need no network
    shell, results, said = start(), Path("runs/colab", STUDY), {}
    for name, code in cells.items():
        said[name] = run(shell, name, code)
        if name == "settings":
            shell.run_cell(SETTINGS)
        if name == "job":
            made = digests(results)

    check("jax.devices(): [" in said["device"].text, "the devices are not shown")
    if "CpuDevice" in said["device"].text:
        check("on the CPU" in said["device"].html(), "no box says that this is a CPU")
    check({*PACKED, "figure.png", "trajectories.nc"} <= set(made), f"{results} has only {[*made]}")
    check(digests(Path("runs/mirror", STUDY)) == made, "the mirror differs from the results")
    html, kinds = said["show"].html(), [kind for kind, _ in said["show"].shown]
    check("<table" in html and "End-to-end rule" in html, "the table is not shown")
    check("image/png" in kinds, "the figure is not shown")
    check("made before" in said["resume"].text, "the same command did not find the study finished")
    check(digests(results) == made, "the same command has changed a finished study")
    with zipfile.ZipFile(f"runs/colab/{STUDY}.zip") as packed:
        check(packed.testzip() is None, "the archive is damaged")
        check(packed.namelist() == [f"{STUDY}/{file}" for file in PACKED], "the archive's files")
    for words in ("exit code 143;", "restored from the mirror", "exit code 0; finished in 2 s"):
        check(words in said["survive"].text, f"the survival section does not say {words!r}")
    bridge = importlib.import_module("jax._src.xla_bridge")
    check(not bridge.backends_are_initialized(), "a JAX backend holds the device in the notebook")

    calls = on_colab()
    os.environ.update(COLAB_TPU_1VM="1", JAX_PLATFORMS="cpu")
    said = {name: run(shell, name, cells[name]) for name in ("install", "device", "folder")}
    for where in (said["device"].text, said["device"].html()):
        check("has a TPU, but JAX does not use it!" in where, "a fallback to the CPU goes unsaid")
    check("copied to /content/drive/MyDrive/" in said["folder"].text, "not mirrored on the drive")
    run(shell, "download", cells["download"])
    archive = str(Path(f"runs/colab/{STUDY}.zip").absolute())
    check(calls == [("mount", "/content/drive"), ("download", archive)], f"Colab was asked {calls}")


if __name__ == "__main__":
    main(*sys.argv[1:])
