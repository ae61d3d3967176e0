"""The page on which a dataset is explored: what it works on, the services behind it, and the server."""
