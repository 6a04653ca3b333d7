"""The framework of studies, and the studies."""
