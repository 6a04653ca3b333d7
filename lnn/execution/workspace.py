"""The folder of a study: opened complete, resumed, or created.

While a study runs, `NAME.unfinished` holds `study.json` (configuration and sessions so far) and
checkpoints of each process or a file per finished job. Results appear atomically as `NAME`.
"""

from __future__ import annotations

import json
import os
import shutil
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from lnn.core.checks import RECORDS, results_folder, writable
from lnn.core.errors import StoreError
from lnn.core.files import strict
from lnn.execution import checkpoint
from lnn.execution.lock import FolderLock
from lnn.execution.mirror import Mirror

_STUDY, _MANIFEST = "study.json", "manifest.json"
_COMPUTED = ("*/*/checkpoint-*", f"{RECORDS}/*/[!.]*")
_STUDY_KINDS = {
    "config": dict, "data_checksum": str, "base": list, "generations": list, "sessions": list,
}  # fmt: skip
_MANIFEST_KINDS = {"config": dict, "data_checksum": str, "checksums": dict}


class Workspace:
    """The location of a study on disk, locked by this process until `release`.

    `settings` determine the result; those in `extendable` select runs but change none. `fresh` sets
    existing folders aside, `extend` also reuses their runs; `mirror` is a second location. Of
    several processes, the `leader` decides.

    Raises:
        ValueError: the folder holds another study or unknown files.
        StoreError: it cannot be written, or another process holds it.
    """

    def __init__(
        self,
        out: Path,
        name: str,
        settings: Mapping[str, Any],
        *,
        fresh: bool = False,
        extend: bool = False,
        extendable: Collection[str] = (),
        mirror: Path | None = None,
        leader: bool = True,
    ) -> None:
        self.final = results_folder(out, name)
        self.work = out / f"{name}.unfinished"
        self.settings = dict(strict(settings))
        self.mirror = None if mirror is None else Mirror(out, mirror)
        self.save: Callable[[], None] = lambda: None
        self._aside: list[Path] = []
        self._extend, self._extendable = extend, extendable
        self._lock: FolderLock | None = None
        self._made_out = leader and not out.exists()
        self._study: dict[str, Any] = {}
        if not leader:
            return
        if writable(out):  # otherwise a finished study can still be shown
            with checkpoint.storing(out):
                out.mkdir(parents=True, exist_ok=True)
                self._lock = FolderLock(out / f".{name}.lock", str(self.final))
        try:
            self._look(fresh)
            if self._lock is None and not self.finished:
                raise StoreError(f"{out} is not a folder you can write to: choose another --out")
        except BaseException:
            self.release()
            raise

    @property
    def finished(self) -> bool:
        """Whether the study is complete."""
        return not self._aside and self.final.exists()

    def _look(self, fresh: bool) -> None:
        for leftover in self.final.parent.glob(f".{self.final.name}.gone-*"):
            shutil.rmtree(leftover, ignore_errors=True)
        here = [path for path in (self.final, self.work) if os.path.lexists(path)]
        if not here and self.mirror is not None:
            restored = [p for p in (self.final, self.work) if self.mirror.restore(p.name)]
            if restored:
                warnings.warn(f"{restored[0]} was restored from the mirror", stacklevel=3)
            here = restored
        if fresh:
            self._aside = here
            return
        for path in here:
            there = self._read(path)
            if there is None:
                continue  # stopped before anything was computed
            differing = _differences(there["config"], self.settings)
            if not differing:
                if path == self.work:
                    self._study = there
                return
            extendable = all(name in self._extendable for name, _ in differing)
            if self._extend and extendable:
                self._aside = here
                return
            listed = "; ".join(text for _, text in differing)
            ways = "choose another --name, or --fresh to set it aside"
            if extendable:
                ways += ", or --extend to set it aside and use its runs"
            raise ValueError(f"{path} holds another study: {listed}: {ways}")

    def _read(self, path: Path) -> dict[str, Any] | None:
        """Read the folder's description; None for an unfinished study without computed work."""
        file = path / (_STUDY if path == self.work else _MANIFEST)
        if path == self.work and not file.exists() and not _computed(path):
            return None
        try:
            said = dict(json.loads(file.read_text(encoding="utf-8")))
            kinds = _STUDY_KINDS if path == self.work else _MANIFEST_KINDS
            if not all(isinstance(said[name], kind) for name, kind in kinds.items()):
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            raise ValueError(
                f"{path} exists, but its {file.name} is missing or damaged, so its study cannot be "
                "identified; it is never overwritten: choose another --name, or --fresh to set it "
                "aside"
            ) from None
        return said

    def check_data(self, checksum: str) -> None:
        """Raise `ValueError` if the study in the folder is of other data."""
        there = self._read(self.final) if self.finished else self._study
        if there and there.get("data_checksum") != checksum:
            raise ValueError(
                f"{self.final if self.finished else self.work} holds a study of other data "
                f"(checksum {str(there.get('data_checksum'))[:12]} there, {checksum[:12]} here): "
                "choose another --name, or --fresh to set it aside"
            )

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest of a finished study."""
        return self._read(self.final) or {}

    def verify(self) -> None:
        """Raise `StoreError` if a file of a finished study is missing or damaged."""
        found = checkpoint.checksums(self.final)
        for name, wanted in self.manifest["checksums"].items():
            if found.get(name) != wanted:
                state = "is missing" if name not in found else "does not match its checksum"
                raise StoreError(
                    f"{self.final / name} {state}; --fresh sets the folder aside and recomputes "
                    "the study"
                )

    def begin(self, checksum: str, session: Mapping[str, Any], layout: str) -> list[Path]:
        """Resume or create the study, and return folders with reusable runs.

        `session` lists versions, devices and processes; `layout` names processes and devices, which
        determine the bits beside the settings. Reusable are runs of other layouts, which cannot
        resume with the same bits, and of the studies that this one extends.

        Raises:
            StoreError: the folder cannot be written.

        Warns:
            UserWarning: the study resumes with other versions or devices.
        """
        if self._lock is not None:
            with checkpoint.storing(self.work):
                self._prepare(checksum, dict(strict(session)), layout)
        else:
            self._study = self._read(self.work) or {}
        *others, self._generation = self._study["generations"]
        bases = [self.final.parent / name for name in self._study["base"]]
        return [*(self.work / name for name in others), *bases]

    def folder(self, *parts: str) -> Path:
        """Create a subfolder of the unfinished study, if needed, and return it."""
        path = self.work.joinpath(*parts)
        with checkpoint.storing(path):
            path.mkdir(parents=True, exist_ok=True)
        return path

    def checkpoints(self, process: int) -> Path:
        """Return the folder of a process's checkpoints in the current layout."""
        return self.folder(self._generation, f"process-{process}")

    @property
    def marker(self) -> Path:
        """A file that exists until the study is deleted or complete."""
        return self.work / _STUDY

    def copy(self, path: Path) -> None:
        """Copy a file or folder of the study to the mirror, if any."""
        if self.mirror is not None:
            self.mirror.copy(path)

    def _prepare(self, checksum: str, session: dict[str, Any], layout: str) -> None:
        """Write `study.json`, adding this session."""
        study = self._study or {
            "config": self.settings,
            "data_checksum": checksum,
            "base": [],
            "generations": [],
            "sessions": [],
        }
        if study["sessions"]:
            _warn_of_changes(study["sessions"][-1], session)
        study["sessions"].append(session)
        last = study["generations"][-1].partition("-")[2] if study["generations"] else None
        if last != layout:
            study["generations"].append(f"{len(study['generations'])}-{layout}")
        if self._aside:
            names = _set_aside(self._aside)
            study["base"] = names if self._extend else []
            self._aside = []
        self.work.mkdir(exist_ok=True)
        _write_json(self.work / _STUDY, study)
        self._study = study
        self.copy(self.work / _STUDY)

    @property
    def history(self) -> dict[str, Any]:
        """Sessions so far and reused studies, for the manifest."""
        return {name: self._study[name] for name in ("sessions", "base")}

    def reopen(self) -> None:
        """Set a finished study with failed parts aside, and reuse its results."""
        self._aside, self._extend = [self.final], True

    def stop(self) -> str:
        """Save unsaved work, and return a sentence that says how to resume."""
        self.save()
        return f"stopped before the end; {self.left()}"

    def left(self) -> str:
        """Describe what the folder holds and how to resume."""
        if not _computed(self.work):
            return "nothing was written"
        return f"what is saved in {self.work} is intact: run the same command to resume"

    def publish(self, write: Callable[[Path], None]) -> None:
        """Publish the files that `write` creates in a folder, atomically.

        Raises:
            StoreError: they cannot be written; computed work stays saved.
        """
        results = self.work / "results"
        shutil.rmtree(results, ignore_errors=True)
        with checkpoint.storing(self.final):
            results.mkdir()
            try:
                write(results)
                if self.final.exists():
                    raise StoreError(f"{self.final} was created meanwhile and is not overwritten")
                checkpoint.commit(results, self.final)
            finally:
                shutil.rmtree(results, ignore_errors=True)
        self.copy(self.final)
        if self.mirror is not None:
            self.mirror.remove(self.work.name)
        self._discard(self.work)

    def release(self) -> None:
        """Release the folder, removing it if it holds no computed work."""
        if self._lock is None:
            return
        if self.finished:
            there = self._read(self.work) if self.work.exists() else None
            if there is not None and not _differences(there["config"], self.settings):
                self._discard(self.work)  # stopped right after publishing
        elif not self._study.get("base") and not _computed(self.work):
            self._discard(self.work)
            if self._study and self.mirror is not None:
                self.mirror.remove(self.work.name)
        self._lock.release()
        self._lock = None
        if self._made_out:
            with suppress(OSError):
                self.final.parent.rmdir()

    def _discard(self, folder: Path) -> None:
        """Remove a folder; if interrupted, leave nothing that looks like a study."""
        gone = folder.with_name(f".{self.final.name}.gone-{os.getpid()}")
        with suppress(OSError):
            folder.rename(gone)
            shutil.rmtree(gone)


def _computed(folder: Path) -> bool:
    """Return whether an unfinished study's folder holds computed work."""
    return any(True for pattern in _COMPUTED for _ in folder.glob(pattern))


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[tuple[str, str]]:
    names = [name for name in {**there, **here} if there.get(name) != here.get(name)]
    return [(name, f"{name} {there.get(name)} there, {here.get(name)} here") for name in names]


def _warn_of_changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    flat = [
        {**session["versions"], "devices": session["devices"], "processes": session["processes"]}
        for session in (before, now)
    ]
    changes = _differences(*flat)
    if changes:
        listed = "; ".join(text for _, text in changes)
        warnings.warn(
            f"resuming in a different environment ({listed}): last digits may depend on it, and "
            "the manifest records both",
            stacklevel=4,
        )


def _set_aside(folders: list[Path]) -> list[str]:
    """Move folders NAME and NAME.unfinished to NAME.1 and NAME.1.unfinished, or a higher number."""
    name = folders[0].name.removesuffix(".unfinished")
    number = 1
    while any(
        folders[0].with_name(f"{name}.{number}{end}").exists() for end in ("", ".unfinished")
    ):
        number += 1
    moved = []
    for folder in folders:
        target = folder.with_name(f"{name}.{number}{folder.name.removeprefix(name)}")
        folder.rename(target)
        moved.append(target.name)
    return moved


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(json.dumps(content, indent=2, allow_nan=False) + "\n", encoding="utf-8")
    checkpoint.commit(partial, path)
