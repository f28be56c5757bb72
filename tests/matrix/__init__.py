"""Every Python of the catalogue in one lab, and one image with all of them."""
