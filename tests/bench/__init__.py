"""Benchmarks on the real lab: `make bench`, or `python -m tests.bench NAME ...`."""
