"""Unit tests of kubelab_helpers.cluster."""
