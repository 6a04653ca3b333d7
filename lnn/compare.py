"""`python -m lnn.compare`: compare methods on a problem."""

from lnn.execution.terminal import leave
from lnn.studies.compare.command import main

if __name__ == "__main__":
    leave(main())
