"""Measurements that anyone can run: `python -m benchmarks NAME`, one JSON line per figure."""
