"""What an image shows, measured from its pixels: colour of the vehicle, light, focus."""
