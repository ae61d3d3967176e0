"""Commands about networks, and the options that choose them in other commands."""
