"""`python -m lnn.mnist`."""

import sys

from lnn.mnist.command import main

if __name__ == "__main__":
    sys.exit(main())
