"""`python -m lnn.mnist` on images made from a seed, and a tiny network."""

from __future__ import annotations

from fake_images import fake_images

from lnn.datasets import mnist
from lnn.execution.terminal import leave
from lnn.studies.mnist import command, config

if __name__ == "__main__":
    mnist.load = lambda path, progress: fake_images(1000)
    config.QUICK.update(channels=(2, 2), hidden=4, evaluation=100)
    leave(command.main())
