"""Spectrograms of speech with their letters: spoken digits built in, and recordings."""
