"""Statistics, formatting, plotting and provenance of results. Imports no JAX."""
