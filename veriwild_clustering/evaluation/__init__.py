"""From partitions to numbers."""
