"""The nouns: dataset, descriptor, partition."""
