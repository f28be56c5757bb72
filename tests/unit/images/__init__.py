"""Unit tests of kubelab_helpers.images."""
