"""Unit tests of kubelab_helpers.lab."""
