"""Comparison of methods on one problem, tuned by the same protocol."""
