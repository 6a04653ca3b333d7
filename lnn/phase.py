"""`python -m lnn.phase`: where depth helps and where it hurts, as a map."""

import sys

from lnn.studies.phase.command import main

if __name__ == "__main__":
    sys.exit(main())
