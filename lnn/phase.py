"""`python -m lnn.phase`: map where depth helps and where it hurts."""

import sys

from lnn.studies.phase.command import main

if __name__ == "__main__":
    sys.exit(main())
