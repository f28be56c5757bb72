"""The chart, from its rendered manifests."""
