"""Closed forms and exact computations for linear networks and their training."""
