"""From vectors to vectors."""
