"""Similarities of images in [0, 1], one measure a file, and the pairs that are similar without comparing all."""
