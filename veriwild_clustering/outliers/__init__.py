"""From vectors to outlier scores."""
