"""`python -m lnn.reproduce`: check the claims of the papers."""

from lnn.claims.command import main
from lnn.execution.terminal import leave

if __name__ == "__main__":
    leave(main())
