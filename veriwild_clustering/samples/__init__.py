"""Drawn vehicles with known truth, in VeRi-Wild's raw layout."""
