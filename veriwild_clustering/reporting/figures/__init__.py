"""What is drawn: maps, charts, galleries, and how they look."""
