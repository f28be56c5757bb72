"""The command lines: options in, results out; no work of their own."""
