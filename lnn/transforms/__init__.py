"""Update rules, the methods made of them, and the drop-in for any network."""
