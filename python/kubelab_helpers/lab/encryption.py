"""HTTPS of a lab's hub: its certificate, and the CA that browsers are to trust."""

from __future__ import annotations

from typing import Any

from kubelab_helpers.cluster.health import write_private
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.release import tls
from kubelab_helpers.release.tls import Certificate, Held


def describe_tls(lab: Lab) -> dict[str, Any]:
    """Return kubelab.yaml's values of `tls`, with every name and address by which people come, and the port they use.

    The names that kubelab.yaml gives stand first.
    """
    given = lab.spec.values.get("tls", {})
    nodes = [each for host in lab.spec.hosts for each in (lab.spec.address_of(host.name), host.public_address) if each]
    hosts = list(dict.fromkeys([*given.get("hosts", []), "localhost", "127.0.0.1", *nodes]))
    port = {"redirectPort": lab.spec.ports.https} if lab.control_plane.is_container else {}
    return {**port, **given, "hosts": hosts}


def read_tls(lab: Lab) -> tuple[Held, Certificate]:
    """Return what the cluster holds and what is served; BlockedError when the hub is reached by HTTP."""
    held = tls.read_held(lab.kubeconfig)
    if held is None:
        raise BlockedError(
            "the hub is reached by HTTP",
            next_step="give kubelab.yaml `values: {tls: {enabled: true}}` and run `kubelab up`",
        )
    return held, tls.read_served(lab.hub_address)


def rotate_certificate(lab: Lab) -> Certificate:
    """Have the release's own certificate made anew and wait until it is served."""
    read_tls(lab)
    made = tls.rotate(lab.kubeconfig, lab.hub_address, lab.reporter)
    keep_authority(lab)
    return made


def keep_authority(lab: Lab) -> None:
    """Keep the release's own CA beside the lab's password, for browsers and for kubelab's own questions."""
    try:
        held = tls.read_held(lab.kubeconfig)
    except BlockedError:  # whoever makes the Secret has not done so yet
        held = None
    if held is None or not held.authority:
        lab.authority_file.unlink(missing_ok=True)
    elif not lab.authority_file.exists() or lab.authority_file.read_bytes() != held.authority:
        write_private(lab.authority_file, held.authority.decode())
