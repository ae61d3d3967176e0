"""Painting: the segments of one image after the other, strokes on them, and masks to take away."""
