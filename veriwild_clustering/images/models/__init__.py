"""Networks that take images: what is known of them, where their weights lie, how they run."""
