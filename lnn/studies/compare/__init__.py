"""Methods on one problem, tuned by the same rules."""
