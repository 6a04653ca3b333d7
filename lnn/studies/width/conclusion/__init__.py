"""Statements on width and halting time, judged by the runs of a study."""
