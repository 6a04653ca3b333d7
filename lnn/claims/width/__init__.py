"""Claims on width and halting time."""
