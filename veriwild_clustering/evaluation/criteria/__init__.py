"""How far a partition by a criterion agrees with known classes, and with what it was told to ignore."""
