"""What a criterion in words is, what its words mean, and what pixels and tables say about it without any model."""
