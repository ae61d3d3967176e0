"""How it is said: the sentences of each language."""
