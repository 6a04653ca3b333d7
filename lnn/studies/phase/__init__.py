"""The map of where depth helps."""
