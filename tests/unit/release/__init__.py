"""Unit tests of kubelab_helpers.release."""
