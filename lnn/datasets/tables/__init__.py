"""Tables of one's own, in any usual form, as regression problems."""
