"""kubelab: from bare Linux hosts to a multi-user, multi-Python JupyterHub."""

__version__ = "0.1.0"
