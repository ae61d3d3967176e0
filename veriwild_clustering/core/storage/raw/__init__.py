"""What the raw data say of each row: which image it is, and what is known of it."""
