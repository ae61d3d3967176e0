"""The images of an engine run in three dimensions: their records as JSON and a page that shows them."""
