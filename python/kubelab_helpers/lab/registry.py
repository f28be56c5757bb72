"""The registry of this machine as a lab has it: its secrets, and who may ask it how."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from kubelab_helpers.cluster import authority, certificates, engine, registry_secrets
from kubelab_helpers.images import registry
from kubelab_helpers.images.access import OWN_HOST, PORT, RegistryAccess
from kubelab_helpers.images.registry import RegistryState
from kubelab_helpers.lab.context import REGISTRY_FOLDER, Lab
from kubelab_helpers.lab.images import bundled_images
from kubelab_helpers.release.registry import hosting_document, put_hosting
from kubelab_helpers.result import Outcome


def keep_secrets(lab: Lab) -> tuple[Outcome, str]:
    """Keep what protects the lab's registry, before a node or the registry is given it."""
    made = registry_secrets.keep_secrets(lab.registry_folder, lab.registry_secrets)
    asked = [name for name, wanted in vars(lab.spec.registry).items() if wanted]
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), ", ".join(asked) or "none"


def find_access(folder: Path, state: RegistryState) -> RegistryAccess:
    """Return how this machine's registry is asked with what the lab's folder has; nothing is made."""
    kept = folder / REGISTRY_FOLDER
    login = registry_secrets.read_login(kept) if state.authentication else None
    return RegistryAccess(state.machine_port, tls=state.tls, login=login, folder=kept)


def announce_registry(lab: Lab) -> tuple[Outcome, str]:
    """Write into the cluster where tools find its registry; hosts elsewhere have one that takes nothing from others."""
    if not lab.spec.has_containers:
        return Outcome.UNCHANGED, "no container nodes"
    made = put_hosting(lab.kubeconfig, describe_hosting(lab))
    return (Outcome.CHANGED if made else Outcome.UNCHANGED), f"localhost:{lab.spec.ports.registry}"


def describe_hosting(lab: Lab) -> str:
    """Return what the cluster says of its registry."""
    host, pods = f"localhost:{lab.spec.ports.registry}", f"{lab.spec.registry_address}:{PORT}"
    return hosting_document(host, from_runtime=OWN_HOST, from_pods=pods)


def certificate_days(folder: Path) -> int | None:
    """Return the whole days that the registry's certificate in a lab's folder has left; None without a whole one."""
    with suppress(OSError, ValueError):
        content = (folder / REGISTRY_FOLDER / registry_secrets.CERTIFICATE).read_bytes()
        return authority.days_left(content, certificates.now())
    return None


def start_registry(lab: Lab) -> tuple[Outcome, str]:
    """Start this machine's registry, which container nodes reach too; images of a bundle need none."""
    if bundled_images(lab):
        return Outcome.UNCHANGED, "the images are in the bundle"
    return run_registry(lab, (lab.spec.name, lab.spec.registry_address) if lab.spec.has_containers else None)


def start_own_registry(lab: Lab) -> tuple[Outcome, str]:
    """Start this machine's registry by itself, and the engine; where the lab's nodes are there, they find it too."""
    engine.ensure_running()
    there = lab.spec.has_containers and lab.engine.networks.list(names=[f"^{lab.spec.name}$"])
    return run_registry(lab, (lab.spec.name, lab.spec.registry_address) if there else None)


def run_registry(lab: Lab, endpoint: tuple[str, str] | None = None) -> tuple[Outcome, str]:
    """Start this machine's registry, with an address in a network of the engine."""
    keep_secrets(lab)
    outcome = registry.start_registry(
        lab.engine,
        lab.spec.name,
        lab.registry_access,
        secrets=lab.registry_secrets,
        endpoint=endpoint,
        reporter=lab.reporter,
        source=lab.spec.source,
    )
    return outcome, lab.registry_access.address
