"""The chart's release: its values, its schema, and what installs it."""
