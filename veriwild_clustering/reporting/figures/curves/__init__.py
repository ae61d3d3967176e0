"""Figures of one or more curves over a parameter."""
