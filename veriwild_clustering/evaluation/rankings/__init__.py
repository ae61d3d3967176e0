"""Ranked images: read in blocks, judged, scored as the mean over all orders of what is tied."""
