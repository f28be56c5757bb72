"""The container runtime and the kubelet: programs, configuration, units, images."""

from __future__ import annotations

from kubelab_helpers.hosts.change import Change, stamp_of
from kubelab_helpers.hosts.containerd_config import PATH as CONFIG
from kubelab_helpers.hosts.containerd_config import merge_config
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import Directory, File, Program
from kubelab_helpers.hosts.image import Image
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.spec import NodeSpec, RegistryMirror
from kubelab_helpers.hosts.template import render

PROGRAM_PATHS = {
    "containerd": "/usr/local/bin/containerd",
    "containerd-shim-runc-v2": "/usr/local/bin/containerd-shim-runc-v2",
    "ctr": "/usr/local/bin/ctr",
    "runc": "/usr/local/sbin/runc",
    "kubelet": "/usr/local/bin/kubelet",
    "kubeadm": "/usr/local/bin/kubeadm",
    "kubectl": "/usr/local/bin/kubectl",
    "calico-cni": "/opt/cni/bin/calico",
}
COMPLETIONS = "/usr/local/share/bash-completion/completions"
"""Read by bash at the first Tab after a program's name, so that a login waits for nothing."""
COMPLETED = ("kubectl", "kubeadm")
REGISTRIES = "/etc/containerd/certs.d"
AUTHORITY = "ca.crt"
CNI_DIRECTORY = "/opt/cni/bin"
CONTAINERD_DATA = ("/var/lib/containerd", "/opt/containerd", "/run/containerd")
CNI_PLUGINS = ("loopback", "host-local", "portmap", "bandwidth", "bridge", "tuning")


def program_paths() -> dict[str, str]:
    """Return where each program goes on a node, by its artifact's name."""
    return {**PROGRAM_PATHS, **{f"cni-plugins/{name}": f"{CNI_DIRECTORY}/{name}" for name in CNI_PLUGINS}}


def desire_programs(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """The programs of the node, as they are in the artifact cache."""
    paths = program_paths()
    programs = [Program(paths[name], local.path, local.sha256) for name, local in spec.programs.items()]
    completed = [name for name in COMPLETED if name in spec.programs]
    return [*programs, *(File(f"{COMPLETIONS}/{name}", _completion(name)) for name in completed)]


def desire_kubeadm(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """Only kubeadm: an upgrade needs it in the new version while kubelet still has the old one."""
    local = spec.programs["kubeadm"]
    return [Program(PROGRAM_PATHS["kubeadm"], local.path, local.sha256)]


def desire_containerd(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """containerd, configured for systemd cgroups, the pinned sandbox image and the registries' mirrors, and running."""
    values = {"pause_image": spec.pause_image, "can_lower_oom_score": facts.can_lower_oom_score}
    own = render("containerd.toml", **values).decode()
    config = File(CONFIG, merge_config(facts.contents.get(CONFIG), own).encode())
    unit = File("/etc/systemd/system/containerd.service", render("containerd.service"))
    # containerd reads certs.d at each pull, so a mirror needs no restart.
    mirrors = [file for mirror in spec.mirrors for file in _mirror(mirror)]
    programs = [spec.programs[name].sha256 for name in ("containerd", "runc") if name in spec.programs]
    stamp = stamp_of(config.content, unit.content, *programs)
    # containerd ends when the directory that it watches is taken away, so that it has to be there longer than it.
    watched = [Directory("/etc/cni"), Directory("/etc/cni/net.d")]
    return [*watched, config, unit, *mirrors, Unit("containerd", stamp, data=CONTAINERD_DATA)]


def desire_kubelet(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """The kubelet's unit, enabled; kubeadm starts it once it has something to say to it."""
    unit = File("/etc/systemd/system/kubelet.service", render("kubelet.service"))
    programs = [spec.programs["kubelet"].sha256] if "kubelet" in spec.programs else []
    return [unit, Unit("kubelet", stamp_of(unit.content, *programs), start=False)]


def desire_images(facts: HostFacts, spec: NodeSpec) -> list[Change]:
    """The images that the node starts before any registry can be reached."""
    return [Image(image.reference, image.digest, image.archive) for image in spec.images]


def _completion(name: str) -> bytes:
    return f"# Written by kubelab.\nsource <({name} completion bash)\n".encode()


def _mirror(mirror: RegistryMirror) -> list[File]:
    """Return what containerd reads of a registry: https://github.com/containerd/containerd/blob/v2.4.2/docs/hosts.md.

    The password stands here as a header, because this one file serves both who pull: kubelet, also for a pod that names
    no pull Secret, and `ctr`, whose option for it would show it to everyone on the host. containerd logs each request
    without that header.
    """
    folder = f"{REGISTRIES}/{mirror.name}"
    trust = f'ca = "{folder}/{AUTHORITY}"\n' if mirror.authority else ""
    header = f'Authorization = "{mirror.authorization}"\n' if mirror.authorization else ""
    # What stands above the first table is of `server`, which is asked last.
    text = f'server = "{mirror.urls[0]}"\n{trust}' + (f"\n[header]\n  {header}" if header else "")
    for url in mirror.urls:
        text += f'\n[host."{url}"]\n  capabilities = ["pull", "resolve"]\n' + (f"  {trust}" if trust else "")
        text += f'  [host."{url}".header]\n    {header}' if header else ""
    authority = [File(f"{folder}/{AUTHORITY}", mirror.authority)] if mirror.authority else []
    return [*authority, File(f"{folder}/hosts.toml", text.encode(), mode=0o600 if header else 0o644)]
