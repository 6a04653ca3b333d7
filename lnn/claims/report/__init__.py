"""Report of the claims: page, appendix and tables."""
