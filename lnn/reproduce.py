"""`python -m lnn.reproduce`: check the claims of the papers."""

import sys

from lnn.claims.command import main

if __name__ == "__main__":
    sys.exit(main())
