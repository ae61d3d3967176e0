"""From an image to an image or to numbers."""
