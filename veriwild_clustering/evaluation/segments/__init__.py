"""How far the segments of an image agree with its true regions."""
