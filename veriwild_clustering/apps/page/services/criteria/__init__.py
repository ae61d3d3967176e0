"""Criteria in words: who can answer, what asking takes, and the partitions that come of it."""
