"""From partitions to meaning."""
