"""What checks the shapes in types: beartype, for which a whole number is a number."""

import beartype

check = beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))
