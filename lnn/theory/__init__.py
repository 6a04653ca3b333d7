"""Closed forms and exact computations about linear networks and their training."""
