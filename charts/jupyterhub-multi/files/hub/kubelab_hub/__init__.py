"""The hub's configuration, mounted from a ConfigMap: one module and `configure_*` function per matter."""
