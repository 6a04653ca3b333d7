"""`python -m lnn.mnist`: effects of depth in a convolutional network."""

import sys

from lnn.studies.mnist.command import main

if __name__ == "__main__":
    sys.exit(main())
