"""Matrices of vectors: block by block, their means and distances, and the neighbours of every row."""
