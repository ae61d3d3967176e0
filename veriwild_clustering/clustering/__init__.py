"""From vectors to partitions."""
