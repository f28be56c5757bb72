"""Unit tests of kubelab_helpers.hosts."""
