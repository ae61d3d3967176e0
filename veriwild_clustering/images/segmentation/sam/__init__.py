"""Segment Anything: what points and boxes mean, and everything there is in an image."""
