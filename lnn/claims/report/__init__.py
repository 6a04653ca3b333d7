"""The claims as a page, an appendix and tables."""
