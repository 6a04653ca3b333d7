"""Report of a comparison: table, figure, sentences and appendix."""
