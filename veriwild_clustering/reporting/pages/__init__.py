"""HTML pages that stand alone: interactive maps and the report."""
