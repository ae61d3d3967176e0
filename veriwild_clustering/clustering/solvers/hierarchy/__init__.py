"""Trees of merges: exact ones, and those over micro-clusters where rows are many."""
