"""The lab's own registry: a container beside the nodes, which all of them and this machine reach."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelab_helpers.artifacts.source import SourceName, Store
from kubelab_helpers.cluster.registry_secrets import RegistrySecrets
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.hosts.change import stamp_of
from kubelab_helpers.images.access import PORT, RegistryAccess, RegistryClient
from kubelab_helpers.images.archive import load_archive
from kubelab_helpers.images.base import has_image
from kubelab_helpers.images.port import require_free_port
from kubelab_helpers.images.registry_files import (
    CONFIG_PATH,
    ROOT,
    UNPROTECTED,
    USER_ID,
    configuration_files,
    initial_files,
)
from kubelab_helpers.result import Outcome, Reporter, SilentReporter

if TYPE_CHECKING:
    from docker import DockerClient
    from docker.models.containers import Container

NAME = "kubelab-registry"
ARTIFACT = "image-registry"
OWN_REPOSITORY = "localhost/kubelab/registry"
CLUSTER_LABEL = "io.kubelab.cluster"
INPUT_LABEL = "io.kubelab.input-hash"
TLS_LABEL, AUTHENTICATION_LABEL = "io.kubelab.registry-tls", "io.kubelab.registry-authentication"
START_TIMEOUT_SECONDS = 30.0


@dataclass(frozen=True)
class RegistryState:
    """The registry container as the engine has it; `addresses` by network name."""

    status: str
    machine_port: int
    addresses: dict[str, str]
    tls: bool = False
    authentication: bool = False

    @property
    def is_running(self) -> bool:
        """Whether the container runs."""
        return self.status == "running"


def registry_state(engine: DockerClient) -> RegistryState | None:
    """Return the registry's state; None if there is no registry."""
    container = find_container(engine)
    if container is None:
        return None
    bindings = container.attrs["HostConfig"]["PortBindings"] or {}
    published = bindings.get(f"{PORT}/tcp") or [{"HostPort": "0"}]
    return RegistryState(
        container.status,
        int(published[0]["HostPort"]),
        _addresses(container),
        tls=TLS_LABEL in container.labels,
        authentication=AUTHENTICATION_LABEL in container.labels,
    )


def start_registry(
    engine: DockerClient,
    cluster: str,
    access: RegistryAccess,
    *,
    secrets: RegistrySecrets = UNPROTECTED,
    endpoint: tuple[str, str] | None = None,
    reporter: Reporter | None = None,
    source: SourceName = "auto",
) -> Outcome:
    """Make the registry run where `access` finds it on this machine, and on port 5000 of `endpoint`.

    `endpoint`: a network of the engine and the registry's address there, where container nodes find it. A machine has
    one registry: a second cluster's network is added to it, and it belongs to the cluster that asked first. What it
    holds is in a volume of the same name, which a new container takes over; other `secrets` mean a new container.
    BlockedError, naming the holder, if the machine's port is taken.
    """
    image = _ensure_image(engine, Store(source), reporter or SilentReporter())
    files = configuration_files(secrets)
    wanted = stamp_of("registry-1", image, files.pop(CONFIG_PATH), str(access.machine_port), *files.values())
    container = find_container(engine)
    if container is not None and _is_stale(engine, container, wanted):
        _require_own(container, cluster)
        container.remove(force=True)
        container = None
    if container is not None and container.status == "running" and _is_attached(container, endpoint):
        return Outcome.UNCHANGED
    if container is None or container.status != "running":
        require_free_port(engine, access.machine_port)
    if container is None:
        labels = {CLUSTER_LABEL: cluster, INPUT_LABEL: wanted} | _describe(secrets)
        container = _create(engine, image, endpoint, access.machine_port, labels, secrets)
    if endpoint is not None:
        _attach(engine, container, *endpoint)
    if container.status != "running":
        container.start()
    wait_until_answering(container, access)
    return Outcome.CHANGED


def stop_registry(engine: DockerClient, *, with_content: bool = False) -> Outcome:
    """Remove the registry's container, and with `with_content` its volume."""
    from docker.errors import NotFound

    container = find_container(engine)
    outcome = Outcome.UNCHANGED
    if container is not None:
        container.remove(force=True)
        outcome = Outcome.CHANGED
    if with_content:
        try:
            engine.volumes.get(NAME).remove()
            outcome = Outcome.CHANGED
        except NotFound:
            pass
    return outcome


def find_container(engine: DockerClient) -> Container | None:
    """Return the registry's container; None if there is none."""
    from docker.errors import NotFound

    try:
        return engine.containers.get(NAME)
    except NotFound:
        return None


def _addresses(container: Container) -> dict[str, str]:
    """Return the fixed addresses, which stand in the configuration whether the container runs or not."""
    networks = container.attrs["NetworkSettings"]["Networks"]
    return {name: (each["IPAMConfig"] or {}).get("IPv4Address", "") for name, each in networks.items()}


def _is_stale(engine: DockerClient, container: Container, wanted: str) -> bool:
    """Return whether the container was made from other inputs, or for a network that has been removed since."""
    there = {network.id for network in engine.networks.list()}
    used = {each["NetworkID"] for each in container.attrs["NetworkSettings"]["Networks"].values()}
    return container.labels.get(INPUT_LABEL) != wanted or not used <= there


def _require_own(container: Container, cluster: str) -> None:
    """Raise BlockedError rather than replace the registry that another cluster is using."""
    owner = container.labels.get(CLUSTER_LABEL)
    if container.status == "running" and owner != cluster:
        raise BlockedError(
            f"this machine's registry belongs to the lab {owner} and was started with other settings",
            next_step="give this lab the same registry port, with neither TLS nor authentication in either lab, or "
            "take the other lab down first",
        )


def _ensure_image(engine: DockerClient, store: Store, reporter: Reporter) -> str:
    """Return the id of the registry's own image, loaded from the artifacts if the engine lacks it."""
    reference = f"{OWN_REPOSITORY}:{store.catalog.key(ARTIFACT)}"
    if has_image(engine, reference):
        return str(engine.images.get(reference).id)
    return load_archive(engine, store.fetch([ARTIFACT], reporter)[ARTIFACT], reference)


def _create(
    engine: DockerClient,
    image: str,
    endpoint: tuple[str, str] | None,
    machine_port: int,
    labels: dict[str, str],
    secrets: RegistrySecrets,
) -> Container:
    from docker.types import LogConfig

    engine.volumes.create(NAME, labels=labels)
    api = engine.api
    networking: Any = None
    if endpoint is not None:
        network, address = endpoint
        endpoints: Any = {network: api.create_endpoint_config(ipv4_address=address)}
        networking = api.create_networking_config(endpoints)
    created = api.create_container(
        image,
        command=["serve", CONFIG_PATH],
        name=NAME,
        user=f"{USER_ID}:{USER_ID}",
        labels=labels,
        ports=[PORT],
        # Else it looks for a collector of traces on its own loopback address, and logs that there is none.
        environment={"OTEL_TRACES_EXPORTER": "none"},
        host_config=api.create_host_config(
            binds={NAME: {"bind": ROOT, "mode": "rw"}},
            port_bindings={PORT: ("127.0.0.1", machine_port)},
            cap_drop=["ALL"],
            security_opt=["no-new-privileges"],
            log_config=LogConfig(type="json-file", config={"max-size": "10m", "max-file": "2"}),
            restart_policy={"Name": "unless-stopped"},
        ),
        networking_config=networking,
    )
    container = engine.containers.get(created["Id"])
    container.put_archive("/", initial_files(secrets))
    return container


def _describe(secrets: RegistrySecrets) -> dict[str, str]:
    """Return the labels that say how the registry is to be asked."""
    found = {TLS_LABEL: secrets.server, AUTHENTICATION_LABEL: secrets.login}
    return {label: "true" for label, protected in found.items() if protected}


def _is_attached(container: Container, endpoint: tuple[str, str] | None) -> bool:
    return endpoint is None or _addresses(container).get(endpoint[0]) == endpoint[1]


def _attach(engine: DockerClient, container: Container, network: str, address: str) -> None:
    addresses = _addresses(container)
    if addresses.get(network) == address:
        return
    wanted = engine.networks.get(network)
    if network in addresses:
        wanted.disconnect(container, force=True)
    wanted.connect(container, ipv4_address=address)


def wait_until_answering(container: Container, access: RegistryAccess) -> None:
    """Wait until the registry answers on this machine; KubelabError with the end of its log past the deadline."""
    deadline = time.monotonic() + START_TIMEOUT_SECONDS
    with RegistryClient(access) as client:
        while time.monotonic() < deadline:
            with suppress(BlockedError):
                if client.ask("GET", "/v2/", timeout_seconds=2).ok:
                    return
            time.sleep(0.1)
    tail = container.logs(tail=5).decode(errors="replace")
    raise KubelabError(
        f"the registry did not answer within {START_TIMEOUT_SECONDS:g} s\n{tail}".rstrip(), repeat=f"docker logs {NAME}"
    )
