"""Results of jobs, one file each, in the folder of a study."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from lnn.core.checks import RECORDS
from lnn.core.files import load_record
from lnn.execution.workspace import Workspace

T = TypeVar("T")


class Records:
    """The results of a study's jobs by name, and those of the studies that it extends.

    Results of other code, settings or data lie in folders of their own, named by their key: nothing
    is overwritten.

    Args:
        workspace: of the study, begun.
        key: what every result depends on.
        earlier: folders of studies whose results are used.
    """

    def __init__(self, workspace: Workspace, key: str, earlier: Sequence[Path] = ()) -> None:
        self.folder = workspace.folder(RECORDS, key)
        self._earlier = [folder / RECORDS / key for folder in earlier]
        self._workspace = workspace

    def load(self, name: str, cls: type[T]) -> T | None:
        """The result of this name; None if there is none or it is damaged: it is made again."""
        path = self.folder / name
        if (found := load_record(path, cls)) is not None:
            return found
        for folder in self._earlier:
            if (found := load_record(folder / name, cls)) is not None:
                shutil.copyfile(folder / name, path)
                self.saved(name)
                return found
        return None

    def saved(self, name: str) -> None:
        """Copy a result to the mirror, if there is one."""
        self._workspace.copy(self.folder / name)
