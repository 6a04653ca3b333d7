"""How long work is done safely: processes, signals, checkpoints, folders of results."""
