"""What everything rests on: problems, networks, numerics, checks, files."""
