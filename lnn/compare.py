"""`python -m lnn.compare`: compare methods on a problem."""

import sys

from lnn.studies.compare.command import main

if __name__ == "__main__":
    sys.exit(main())
