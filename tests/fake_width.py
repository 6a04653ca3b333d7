"""`python -m lnn.width` on a text made from a seed, and tiny networks of characters."""

from __future__ import annotations

from dataclasses import replace

from small_width import corpus

from lnn.execution.terminal import leave
from lnn.studies.width import command, config, tasks

if __name__ == "__main__":
    config.SCALES["quick"]["characters"] = replace(
        config.SCALES["quick"]["characters"], widths=(2, 3), sizes=(30, 60), batch=2, length=5,
        validation=20, steps=60, first=4, every=4, least=12, marks=4, depths=(1,),
    )  # fmt: skip
    tasks.load_system = lambda setup, path: corpus()
    leave(command.main())
