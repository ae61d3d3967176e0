"""What leaves: maps, galleries, charts, tables, the HTML report."""
