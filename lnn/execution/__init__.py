"""Safe execution of long work: processes, signals, checkpoints and results folders."""
