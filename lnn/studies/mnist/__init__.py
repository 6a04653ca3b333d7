"""Depth in a convolutional network on MNIST."""
