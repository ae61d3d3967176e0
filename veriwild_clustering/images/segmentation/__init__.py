"""An image divided into segments: one label map, whatever the method."""
