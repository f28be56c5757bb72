"""Parts from four sources."""
