"""What makes the cluster's one kubeadm configuration a further control plane's own. Pure, like every Step."""

from __future__ import annotations

import json
from typing import Any

from kubelab_helpers.hosts.spec import NodeSpec


def node_patches(spec: NodeSpec) -> dict[str, bytes]:
    """Return kubeadm's patches, RFC 6902, by component: the first control plane's address becomes this one's.

    The cluster's one configuration has the first control plane's in flags and probes. The last of equal flags counts.
    https://kubernetes.io/docs/reference/setup-tools/kubeadm/kubeadm-init/#patches
    """
    container = "/spec/containers/0"

    def patch(flag: str, readiness: dict[str, Any] | None) -> bytes:
        operations: list[dict[str, Any]] = [{"op": "add", "path": f"{container}/command/-", "value": flag}]
        operations += [
            {"op": "replace", "path": f"{container}/{probe}/httpGet/host", "value": spec.address}
            for probe in ("livenessProbe", "startupProbe")
        ]
        if readiness:  # not every version has one, which `add` does not mind
            probe = {"httpGet": {"host": spec.address, **readiness}, "periodSeconds": 1, "timeoutSeconds": 15}
            operations.append({"op": "add", "path": f"{container}/readinessProbe", "value": probe})
        return (json.dumps(operations, indent=1) + "\n").encode()

    bind = f"--bind-address={spec.address}"
    etcd = {"path": "/health?serializable=true", "port": 2381, "scheme": "HTTP"}
    return {
        "etcd": patch(f"--listen-metrics-urls=http://{spec.address}:2381", etcd),
        "kube-controller-manager": patch(bind, None),
        "kube-scheduler": patch(bind, {"path": "/healthz", "port": 10259, "scheme": "HTTPS"}),
    }
