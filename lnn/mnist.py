"""`python -m lnn.mnist`: effects of depth in a convolutional network."""

from lnn.execution.terminal import leave
from lnn.studies.mnist.command import main

if __name__ == "__main__":
    leave(main())
