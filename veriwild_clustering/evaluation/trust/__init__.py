"""Trust: what reruns say of partitions."""
