"""Update rules, methods based on them, and drop-ins for any network."""
