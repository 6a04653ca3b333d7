"""Map of where depth helps."""
