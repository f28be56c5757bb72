"""The pod network: the CNI configuration of each node, and Canal's objects in the cluster. Pure, like every Step."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kubelab_helpers.cluster.kubeadm import ADMIN_KUBECONFIG, KUBELET_KUBECONFIG
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.change import Action, Change, stamp_of
from kubelab_helpers.hosts.cni import OWN_FILE, comes_first, find_foreign
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import UNITS, File, NoFile
from kubelab_helpers.hosts.plan import Step
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.spec import NodeSpec
from kubelab_helpers.hosts.template import render

CNI_CONFIGURATION = f"/etc/cni/net.d/{OWN_FILE}"
VXLAN_OVERHEAD_BYTES = 50
"""Outer Ethernet, IPv4, UDP and VXLAN headers, RFC 7348 section 5."""
KUBECTL = "/usr/local/bin/kubectl"
ROUTES_UNIT = "kubelab-routes.service"


def desire_cni(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """The node's CNI configuration: Calico's interfaces with addresses from the node's own podCIDR, and host ports."""
    device = facts.device_of(spec.address)
    if device is None:
        raise BlockedError(
            f"{spec.name}: no network device has the address {spec.address}",
            next_step=f"name one of {', '.join(found for _, found in facts.addresses)} in kubelab.yaml, hosts",
        )
    calico = {
        "type": "calico",
        "datastore_type": "kubernetes",
        "nodename": spec.name,
        "mtu": (spec.mtu or facts.mtus[device]) - VXLAN_OVERHEAD_BYTES,
        "ipam": {"type": "host-local", "subnet": "usePodCidr"},
        "policy": {"type": "k8s"},
        "kubernetes": {"kubeconfig": KUBELET_KUBECONFIG},
        "log_level": "warning",
        "log_file_path": "/var/log/calico-cni.log",
    }
    plugins = [
        calico,
        {"type": "portmap", "snat": True, "capabilities": {"portMappings": True}},
        {"type": "bandwidth", "capabilities": {"bandwidth": True}},
    ]
    content = json.dumps({"name": "kubelab", "cniVersion": "0.3.1", "plugins": plugins}, indent=2) + "\n"
    routes = [] if facts.default_devices else _desire_routes(device, spec)
    return [*_desire_no_other(facts, spec), *routes, File(CNI_CONFIGURATION, content.encode())]


def _desire_no_other(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """Set another pod network's configuration aside where that was asked for; refuse one that would be used instead."""
    foreign = find_foreign(facts.cni_files)
    if spec.replace_network:
        return [NoFile(path) for path in foreign]
    if first := [path for path in foreign if comes_first(path)]:
        raise BlockedError(
            f"{spec.name}: another pod network comes first: {', '.join(first)}",
            next_step="remove that network, or let kubelab set its files aside, which keeps them: "
            "`network: {replaceForeign: true}` in kubelab.yaml, or --replace-network",
        )
    return []


def _desire_routes(device: str, spec: NodeSpec) -> list[Change]:
    """Return what an air-gapped host needs: with a default route the kernel would know these ways by itself."""
    unit = render("network/routes.service", device=device, address=spec.address, service_cidr=spec.service_cidr)
    return [File(f"{UNITS}{ROUTES_UNIT}", unit), Unit(ROUTES_UNIT, stamp_of(unit))]


def objects_step(images: Mapping[str, str], definitions: bytes) -> Step:
    """Return the step that puts Canal into the cluster, run on a control plane.

    `images`: the references of `flannel` and `calico-node`; `definitions`: Calico's CustomResourceDefinitions as YAML.
    """

    def desire(facts: HostFacts, spec: NodeSpec) -> list[Change]:
        used = set(images.values())
        digests = sorted(image.digest for image in spec.images if image.reference in used)
        manifest = render("network/canal.yaml", node=spec, images=images, digests=digests)
        return [
            apply_objects("network-definitions", "define Calico's policy objects", definitions),
            apply_objects("network", "apply Flannel and the policy engine (Canal)", manifest),
        ]

    return Step("network", desire)


def apply_objects(name: str, text: str, manifest: bytes) -> Action:
    """Return the action that applies a manifest, server-side, with the control plane's own kubectl."""
    argv = (
        KUBECTL,
        f"--kubeconfig={ADMIN_KUBECONFIG}",
        "--cache-dir=/run/kubelab/kubectl",
        "apply",
        "--server-side",
        "--force-conflicts",
        "--field-manager=kubelab",
        "--filename=-",
    )
    return Action(name, text, stamp_of(manifest), (Command(argv, stdin=manifest, timeout_seconds=120),))


CNI_STEP = Step("cni", desire_cni)
