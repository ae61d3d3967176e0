"""Finding images: by image, by words or by both, in one descriptor or in a weighted mixture of several."""
