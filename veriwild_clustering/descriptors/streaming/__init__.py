"""Rows of large matrices on their way through transformers, in one pass and block by block."""
