"""Tests on hosts of their own: container nodes that each test makes and removes."""
