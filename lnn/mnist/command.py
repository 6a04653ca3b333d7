"""`python -m lnn.mnist`: what depth does for a convolutional network."""


def main(arguments: object = None) -> int:
    """The command."""
    raise NotImplementedError
