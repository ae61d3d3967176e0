"""Raw data in, dataset files out."""
