"""Unit tests of kubelab_helpers.cli."""
