"""`python -m lnn.phase`."""

import sys

from lnn.phase.command import main

if __name__ == "__main__":
    sys.exit(main())
