"""What every stage of a lab shares: its spec, its folder, and who to tell of progress."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from kubelab_helpers.artifacts.source import IMAGE_PREFIX, Store
from kubelab_helpers.cluster import engine, registry, snapshots
from kubelab_helpers.cluster.certificates import now
from kubelab_helpers.cluster.nodes import NodeContainer, PublishedPort, container_name, machine_nameservers
from kubelab_helpers.cluster.registry_secrets import RegistrySecrets, obtain_secrets
from kubelab_helpers.cluster.spec import HostSpec, LabSpec
from kubelab_helpers.hosts.distribution import load_distributions
from kubelab_helpers.hosts.runner import ContainerRunner, LocalRunner, RememberingRunner, Runner
from kubelab_helpers.hosts.spec import LocalImage, LocalProgram, NodeSpec, RegistryMirror
from kubelab_helpers.hosts.ssh import SshRunner
from kubelab_helpers.hosts.steps.runtime import program_paths
from kubelab_helpers.images.access import OWN_HOST, RegistryAccess

if TYPE_CHECKING:
    from docker import DockerClient

    from kubelab_helpers.result import Reporter

NODE_IMAGES = ("image-pause", "image-kube-proxy", "image-flannel", "image-calico-node", "image-coredns")
CONTROL_PLANE_IMAGES = (
    "image-kube-apiserver",
    "image-kube-controller-manager",
    "image-kube-scheduler",
    "image-etcd",
)
NODE_PARTS = (
    "containerd",
    "containerd-shim-runc-v2",
    "ctr",
    "runc",
    "kubelet",
    "kubeadm",
    "kubectl",
    "cni-plugins",
    "calico-cni",
    "calico-crds",
)
TOOL_PARTS = ("helm", "registry", "image-registry", "image-local-path-provisioner")
CHECK_PARTS = ("image-agnhost",)
"""What only `cluster check` needs."""
ROOT_FILE_SYSTEMS = ("debian-bookworm", "debian-trixie")
PARTS = (*NODE_PARTS, *NODE_IMAGES, *CONTROL_PLANE_IMAGES, *snapshots.TOOLS, *TOOL_PARTS)
REGISTRY_FOLDER = "registry"
HTTP_NODE_PORT, HTTPS_NODE_PORT, API_PORT = 30080, 30443, 6443


@dataclass
class Lab:
    """One lab being worked on. `folder` (.kubelab) holds only what can be made again from the hosts."""

    spec: LabSpec
    folder: Path
    reporter: Reporter
    replace: bool = False
    ignored: tuple[str, ...] = ()
    """Findings of `kubelab-host check`, by id, that are passed over."""
    _runners: dict[str, Runner] = field(default_factory=dict)
    _parts: dict[str, dict[str, Path]] = field(default_factory=dict)
    """What `parts` found, by the version of Kubernetes: an upgrade works with two."""

    @property
    def kubeconfig(self) -> Path:
        """The operator's way into the cluster, mode 0600."""
        return self.folder / "kubeconfig"

    @property
    def password_file(self) -> Path:
        """The generated password of the hub's admin, mode 0600."""
        return self.folder / "admin-password"

    @property
    def authority_file(self) -> Path:
        """The CA of the hub's certificate, for browsers; only where it is the release's own."""
        return self.folder / "hub-ca.crt"

    @property
    def ends_tls(self) -> bool:
        """Whether the proxy's pod ends TLS; with `offload` somebody before it does."""
        tls = self.spec.values.get("tls", {})
        return bool(tls.get("enabled")) and tls.get("type") != "offload"

    @property
    def hub_address(self) -> str:
        """Where a person finds the hub: a published port of this machine, or a node port of a host elsewhere."""
        encrypted = self.ends_tls
        scheme = "https" if encrypted else "http"
        host = self.control_plane
        if host.is_container:
            return f"{scheme}://127.0.0.1:{self.spec.ports.https if encrypted else self.spec.ports.http}"
        port = HTTPS_NODE_PORT if encrypted else HTTP_NODE_PORT
        return f"{scheme}://{host.public_address or host.address}:{port}"

    @property
    def digests_file(self) -> Path:
        """The digests in the registry of what was pushed last."""
        return self.folder / "digests.json"

    @property
    def published_file(self) -> Path:
        """The digests of what was pushed to other registries, by registry and name."""
        return self.folder / "published.json"

    @property
    def registry_folder(self) -> Path:
        """What the lab's registry is protected by; see `cluster.registry_secrets`."""
        return self.folder / REGISTRY_FOLDER

    @cached_property
    def registry_secrets(self) -> RegistrySecrets:
        """What the registry is protected by: the folder's, or new ones, of which only this process knows.

        Whoever gives them to a host or the registry keeps them first: `lab.registry.keep_secrets`.
        """
        names = ("localhost", "127.0.0.1", self.spec.registry_address)
        return obtain_secrets(self.registry_folder, self.spec.registry, self.spec.name, names, now())

    @property
    def registry_access(self) -> RegistryAccess:
        """How this machine asks the lab's registry."""
        return RegistryAccess(
            self.spec.ports.registry,
            tls=self.spec.registry.tls,
            login=self.registry_secrets.login,
            folder=self.registry_folder,
        )

    @property
    def archives(self) -> Path:
        """The hub's images on their way to hosts elsewhere."""
        return self.folder / "images"

    @property
    def owner(self) -> str:
        """A name for this checkout, kept on what it makes; not a path."""
        return hashlib.sha256(str(self.folder.resolve()).encode()).hexdigest()[:16]

    @cached_property
    def engine(self) -> DockerClient:
        """The container engine; BlockedError when it is not running."""
        return engine.client()

    @cached_property
    def store(self) -> Store:
        """Where artifacts come from."""
        return Store(self.spec.source, self.spec.bundle)

    @property
    def part_names(self) -> tuple[str, ...]:
        """The artifacts that this lab's hosts and tools are made of, in its version of Kubernetes."""
        return tuple(self.artifact(name) for name in PARTS)

    def parts(self) -> dict[str, Path]:
        """Return every part's path by its plain name, fetching what is missing; looked for once."""
        version = self.spec.kubernetes_version
        if version not in self._parts:
            found = self.store.fetch(self.part_names, self.reporter)
            self._parts[version] = {name: found[self.artifact(name)] for name in PARTS}
        return self._parts[version]

    def reading(self) -> Lab:
        """Return this lab for a preview: each host is asked each question once, because nothing changes meanwhile."""
        reading = copy(self)
        reading._runners = {host.name: RememberingRunner(self.runner(host)) for host in self.spec.hosts}
        return reading

    def artifact(self, name: str) -> str:
        """Return the artifact that a part is in this lab's version of Kubernetes; InvalidInputError if not carried."""
        return self.store.catalog.in_version(name, self.spec.kubernetes_version)

    @property
    def control_plane(self) -> HostSpec:
        """The host on which a cluster begins."""
        return self.spec.control_planes[0]

    @property
    def api_server(self) -> str:
        """Where the operator's machine finds the API: the published port of a container node, else the host's own."""
        if self.control_plane.is_container:
            return f"https://127.0.0.1:{self.spec.ports.api}"
        return f"https://{self.control_plane.public_address or self.control_plane.address}:{API_PORT}"

    def runner(self, host: HostSpec) -> Runner:
        """Return the hands on one host, the same each time: an SSH connection is kept."""
        if host.name not in self._runners:
            self._runners[host.name] = self._make_runner(host)
        return self._runners[host.name]

    def _make_runner(self, host: HostSpec) -> Runner:
        if host.ssh:
            return SshRunner(host.name, host.ssh)
        return LocalRunner(host.name) if host.local else ContainerRunner(self.container_name(host.name))

    def control_plane_addresses(self, host: HostSpec) -> tuple[str, ...]:
        """Return every control plane's address, a control plane's own first."""
        others = (each for each in self.spec.control_planes if each.name != host.name)
        own = (host,) if host.role == "control-plane" else ()
        return tuple(self.spec.address_of(each.name) for each in (*own, *others))

    def container_name(self, host: str) -> str:
        """Return the name of the container node that carries a host."""
        return container_name(self.spec.name, host)

    def container(self, host: HostSpec, image: str) -> NodeContainer:
        """Return the container node that carries a host."""
        ports = self.spec.ports
        published = (
            PublishedPort("api", API_PORT, ports.api),
            PublishedPort("http", HTTP_NODE_PORT, ports.http),
            PublishedPort("https", HTTPS_NODE_PORT, ports.https),
        )
        return NodeContainer(
            cluster=self.spec.name,
            name=host.name,
            address=self.spec.address_of(host.name),
            image=image,
            ports=published if host is self.control_plane else (),
            hosts=tuple((self.spec.endpoint.rpartition(":")[0], each) for each in self.control_plane_addresses(host)),
        )

    def node(self, host: HostSpec, parts: Mapping[str, Path]) -> NodeSpec:
        """Return what a host is to become, with the fetched parts that go onto it."""
        images = NODE_IMAGES + (CONTROL_PLANE_IMAGES if host.role == "control-plane" else ())
        return NodeSpec(
            cluster=self.spec.name,
            name=host.name,
            role=host.role,
            address=self.spec.address_of(host.name),
            control_plane_addresses=self.control_plane_addresses(host),
            endpoint=self.spec.endpoint,
            kubernetes_version=self.spec.kubernetes_version,
            pod_cidr=self.spec.pod_cidr,
            service_cidr=self.spec.service_cidr,
            image_prefix=IMAGE_PREFIX,
            mtu=self.spec.mtu,
            replace_network=self.spec.replace_network,
            # A container node has this machine's resolver behind an engine's; another host has its own.
            upstream_nameservers=self.spec.nameservers or (machine_nameservers() if host.is_container else ()),
            certificate_sans=self._certificate_sans(),
            mirrors=self._mirrors(host),
            programs={name: self.program(name, parts) for name in program_paths()},
            images=tuple(self.image(name, parts) for name in images),
            pause_image=self.image_reference("image-pause"),
            distributions=load_distributions(),
        )

    def _certificate_sans(self) -> tuple[str, ...]:
        public = (host.public_address for host in self.spec.control_planes if host.public_address)
        return (*self.spec.certificate_sans, *public)

    def _mirrors(self, host: HostSpec) -> tuple[RegistryMirror, ...]:
        found = self.registry_secrets if host.is_container else RegistrySecrets()
        addresses = (self.spec.registry_address,) if host.is_container else self.control_plane_addresses(host)
        urls = tuple(f"{found.scheme}://{each}:{registry.PORT}" for each in addresses)
        return (RegistryMirror(OWN_HOST, urls, found.authority_certificate, found.authorization),)

    def image_reference(self, artifact: str) -> str:
        """Return the reference by which nodes know an image artifact."""
        return f"{IMAGE_PREFIX}/{self.store.catalog.get(self.artifact(artifact)).image_name}"

    def image_tag(self, artifact: str) -> str:
        """Return an image artifact's tag."""
        return self.image_reference(artifact).rpartition(":")[2]

    def program(self, name: str, parts: Mapping[str, Path]) -> LocalProgram:
        """Return a fetched part as a host is given it; `name` is `part`, or `part/file`."""
        artifact, _, member = name.partition("/")
        path = parts[artifact] / member if member else parts[artifact]
        return LocalProgram(path, self.store.sha256(self.artifact(artifact), member))

    def image(self, name: str, parts: Mapping[str, Path]) -> LocalImage:
        """Return a fetched image as a host is given it."""
        from kubelab_helpers.artifacts.oci import manifest_digest

        return LocalImage(self.image_reference(name), manifest_digest(parts[name]), parts[name])
