"""The life of a lab on this machine: taken down, interrupted, broken and brought back. Slow: `make lifecycle`."""
