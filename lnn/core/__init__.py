"""Foundations: problems, networks, numerics, checks, files."""
