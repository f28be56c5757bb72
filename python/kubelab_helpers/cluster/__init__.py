"""The cluster: its specification, kubeadm, pod network and health, and the container nodes under it."""
