"""Models behind the built-in problems."""
