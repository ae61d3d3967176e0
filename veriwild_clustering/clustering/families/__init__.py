"""Families of algorithms: what a grid names, one file each."""
