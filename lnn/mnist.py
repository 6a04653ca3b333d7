"""`python -m lnn.mnist`: what depth does for a convolutional network."""

import sys

from lnn.studies.mnist.command import main

if __name__ == "__main__":
    sys.exit(main())
