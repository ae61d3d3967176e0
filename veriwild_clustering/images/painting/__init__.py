"""Segments painted by hand: states, sessions over a folder, masks in files."""
