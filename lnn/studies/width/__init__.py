"""Width and halting time in recurrent networks."""
