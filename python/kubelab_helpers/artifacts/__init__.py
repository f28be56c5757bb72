"""Third-party parts: what they are, where they come from, and the cache that keeps them by content."""
