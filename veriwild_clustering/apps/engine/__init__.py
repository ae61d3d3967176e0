"""The image engine: the command, the choice of groups, and where labels come from."""
