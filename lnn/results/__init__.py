"""Statistics, words, drawing and provenance of results. Imports no JAX."""
