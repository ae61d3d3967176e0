"""Groups of similar images: read, compare, choose a threshold, merge batches."""
