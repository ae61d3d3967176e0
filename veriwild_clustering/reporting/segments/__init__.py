"""Segments drawn over images."""
