"""What a person starts: the command line, thin over the public functions."""
