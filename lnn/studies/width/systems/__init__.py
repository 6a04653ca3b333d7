"""The recurrent networks that are measured, in plain JAX."""
