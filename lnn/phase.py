"""`python -m lnn.phase`: map where depth helps and where it hurts."""

from lnn.execution.terminal import leave
from lnn.studies.phase.command import main

if __name__ == "__main__":
    leave(main())
