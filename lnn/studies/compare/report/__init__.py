"""A finished comparison as table, figure, sentences and appendix."""
