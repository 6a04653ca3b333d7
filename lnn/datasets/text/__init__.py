"""Text as indices of characters or words, for language models. Imports no JAX."""
