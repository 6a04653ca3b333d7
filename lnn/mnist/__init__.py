"""Depth in a convolutional network on MNIST: `python -m lnn.mnist`."""

from lnn.mnist.command import main

__all__ = ["main"]
