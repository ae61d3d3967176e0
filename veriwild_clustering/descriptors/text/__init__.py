"""Words -> vectors that lie beside those of images, and labels by words."""
