"""`python -m lnn.width`: width and halting time in recurrent networks."""

from lnn.execution.terminal import leave
from lnn.studies.width.command import main

if __name__ == "__main__":
    leave(main())
