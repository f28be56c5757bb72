"""HTTPS of a lab's hub: its certificate, and the CA that browsers are to trust."""

from __future__ import annotations

from kubelab_helpers.cluster.health import write_private
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.lab.context import Lab
from kubelab_helpers.release import tls
from kubelab_helpers.release.tls import Certificate, Held


def list_names(lab: Lab) -> list[str]:
    """Return the names and addresses by which people come to the hub: this machine's, and those of the nodes."""
    hosts = [each for host in lab.spec.hosts for each in (lab.spec.address_of(host.name), host.public_address) if each]
    return list(dict.fromkeys(["localhost", "127.0.0.1", *hosts]))


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
    held = tls.read_held(lab.kubeconfig)
    if held is None or not held.authority:
        lab.authority_file.unlink(missing_ok=True)
    elif not lab.authority_file.exists() or lab.authority_file.read_bytes() != held.authority:
        write_private(lab.authority_file, held.authority.decode())
