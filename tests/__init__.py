"""The tests: lint, unit, chart, images, e2e, bench."""
