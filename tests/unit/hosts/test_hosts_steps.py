"""Recorded facts and a specification give exactly these changes, in this order."""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Sequence

import pytest

from kubelab_helpers.errors import BlockedError
from kubelab_helpers.hosts.facts import HostFacts
from kubelab_helpers.hosts.file import File, Program, parents
from kubelab_helpers.hosts.kernel import Module
from kubelab_helpers.hosts.plan import PlannedChange, Step, desire, plan
from kubelab_helpers.hosts.service import Unit
from kubelab_helpers.hosts.spec import RegistryMirror
from kubelab_helpers.hosts.state import FileState, HostState
from kubelab_helpers.hosts.steps import PREPARATION, runtime, system

from .support import bare_host, ids, node_spec, recorded_facts

DIRECTORIES = [
    "directory:/var/lib/kubelab",
    "directory:/var/lib/kubelab/stamps",
    "directory:/var/lib/kubelab/volumes",
    "directory:/lib/modules",
]
SYSCTLS = [
    "file:/etc/sysctl.d/90-kubelab.conf",
    "sysctl:net.ipv4.ip_forward",
    "sysctl:net.bridge.bridge-nf-call-iptables",
    "sysctl:net.bridge.bridge-nf-call-ip6tables",
    "sysctl:fs.inotify.max_user_instances",
    "sysctl:fs.inotify.max_user_watches",
]
PROGRAMS = [
    "program:/usr/local/bin/containerd",
    "program:/usr/local/bin/containerd-shim-runc-v2",
    "program:/usr/local/bin/ctr",
    "program:/usr/local/sbin/runc",
    "program:/usr/local/bin/kubelet",
    "program:/usr/local/bin/kubeadm",
    "program:/usr/local/bin/kubectl",
    "program:/opt/cni/bin/calico",
    "program:/opt/cni/bin/loopback",
    "program:/opt/cni/bin/host-local",
    "program:/opt/cni/bin/portmap",
    "program:/opt/cni/bin/bandwidth",
    "program:/opt/cni/bin/bridge",
    "program:/opt/cni/bin/tuning",
    "file:/usr/local/share/bash-completion/completions/kubectl",
    "file:/usr/local/share/bash-completion/completions/kubeadm",
]
RUNTIME = [
    "directory:/etc/cni",
    "directory:/etc/cni/net.d",
    "file:/etc/containerd/config.toml",
    "file:/etc/systemd/system/containerd.service",
    "file:/etc/containerd/certs.d/localhost:5000/hosts.toml",
    "unit:containerd",
    "image:localhost:5000/kubelab/pause:3.10.2",
    "file:/etc/systemd/system/kubelet.service",
    "unit:kubelet",
]
HOSTS = "line:/etc/hosts:172.30.250.10 kubelab.kubelab.internal  # kubelab: the control plane's endpoint"
RESOLVER = ["file:/etc/kubernetes/kubelab/resolv.conf"]
GOLDEN = {
    "new-node": [*DIRECTORIES, "swap", *SYSCTLS, HOSTS, *RESOLVER, *PROGRAMS, *RUNTIME],
    # Its /etc/hosts has the endpoint already.
    "control-plane": [*DIRECTORIES, "swap", *SYSCTLS, *RESOLVER, *PROGRAMS, *RUNTIME],
    "machine": [*DIRECTORIES, "packages:node", "swap", *SYSCTLS, HOSTS, *RESOLVER, *PROGRAMS, *RUNTIME],
    "bare-host": [
        *DIRECTORIES,
        "packages:node",
        "swap",
        "file:/etc/modules-load.d/kubelab.conf",
        "module:br_netfilter",
        *SYSCTLS,
        HOSTS,
        *RESOLVER,
        *PROGRAMS,
        *RUNTIME,
    ],
}


def directories_above(desired: Sequence[PlannedChange]) -> dict[str, FileState]:
    found = FileState("directory", "755", "0:0")
    return {path: found for each in desired for path in parents(each.change.replaces or "/")}


def facts_of(name: str) -> HostFacts:
    return bare_host() if name == "bare-host" else recorded_facts(name)


@pytest.mark.parametrize("name", GOLDEN)
def test_the_plan_of_recorded_facts(name: str) -> None:
    desired = desire(PREPARATION, facts_of(name), node_spec())
    above = {
        path: FileState("directory", "755", "0:0") for each in desired for path in parents(each.change.replaces or "/")
    }
    assert ids(plan("worker-1", desired, HostState(files=above)).changes) == GOLDEN[name]


def test_directories_that_are_not_there_are_planned_once() -> None:
    """What is above a file is made by a change of its own: a rollback then knows whose it is."""
    desired = desire((Step("containerd", runtime.desire_containerd),), recorded_facts("new-node"), node_spec())
    state = HostState(files={path: FileState("directory", "755", "0:0") for path in ("/etc", "/etc/systemd")})
    assert ids(plan("worker-1", desired, state).changes) == [
        "directory:/etc/cni",
        "directory:/etc/cni/net.d",
        "directory:/etc/containerd",
        "file:/etc/containerd/config.toml",
        "directory:/etc/systemd/system",
        "file:/etc/systemd/system/containerd.service",
        "directory:/etc/containerd/certs.d",
        "directory:/etc/containerd/certs.d/localhost:5000",
        "file:/etc/containerd/certs.d/localhost:5000/hosts.toml",
        "unit:containerd",
    ]


def test_every_change_has_its_own_name() -> None:
    """The journal's key: two changes of one name would hide each other."""
    names = ids(desire(PREPARATION, bare_host(), node_spec()))
    assert len(names) == len(set(names))


def test_a_plan_as_data() -> None:
    desired = desire(PREPARATION[:1], recorded_facts("new-node"), node_spec())
    assert plan("worker-1", desired, HostState()).as_data() == {
        "host": "worker-1",
        "changes": [
            {
                "step": "directories",
                "id": name,
                "summary": f"make {name.replace(':', ' ')} (mode 755)",
                "replaces": False,
            }
            for name in DIRECTORIES
        ],
    }


def test_what_is_so_already_is_not_planned() -> None:
    desired = desire(PREPARATION, recorded_facts("new-node"), node_spec())
    program = next(each.change for each in desired if isinstance(each.change, Program))
    above = {
        path: FileState("directory", "755", "0:0") for each in desired for path in parents(each.change.replaces or "/")
    }
    state = HostState(files={**above, program.path: FileState(program.sha256, "755", "0:0")})
    planned = ids(plan("worker-1", desired, state).changes)
    assert program.id not in planned
    assert len(planned) == len(desired) - 1


def test_every_refusal_is_told_at_once() -> None:
    directories = {path: FileState("directory", "755", "0:0") for path in ("/usr/local/bin/ctr", system.RESOLV_CONF)}
    desired = desire(PREPARATION, recorded_facts("new-node"), node_spec())
    with pytest.raises(BlockedError, match=r"resolv\.conf is a directory; /usr/local/bin/ctr is a directory"):
        plan("worker-1", desired, HostState(files=directories))


def test_only_missing_packages_are_installed() -> None:
    (change,) = system.desire_packages(bare_host(), node_spec())
    assert change.summary == "install packages ipset, socat"
    refresh, install = change.operations()
    assert refresh.argv == ("apt-get", "--quiet", "update")
    assert install.argv[4:] == ("install", "apt", "/var/lib/kubelab/packages/node", "ipset", "socat")
    assert system.desire_packages(recorded_facts("new-node"), node_spec()) == []


def test_an_unknown_distribution_is_refused_with_the_known_ones() -> None:
    facts = dataclasses.replace(recorded_facts("new-node"), os_id="debian", os_version="4")
    with pytest.raises(BlockedError, match="runs debian 4, which kubelab does not know") as caught:
        system.desire_packages(facts, node_spec())
    assert "11, 12, 13" in caught.value.next_step


def test_a_kernel_without_features_and_modules_is_refused() -> None:
    facts = dataclasses.replace(recorded_facts("machine"), effects=frozenset(), filesystems=frozenset())
    with pytest.raises(BlockedError, match="has no overlay and no br_netfilter, and no modules to load"):
        system.desire_kernel(facts, node_spec())


def test_missing_modules_are_loaded_where_they_can_be() -> None:
    changes = system.desire_kernel(bare_host(), node_spec())
    loaded = [str(command) for each in changes if isinstance(each, Module) for command in each.operations()]
    assert loaded == ["modprobe br_netfilter"]


@pytest.mark.parametrize(
    ("facts", "named", "servers"),
    [
        (recorded_facts("machine"), (), ["192.0.2.53"]),
        (bare_host(), (), ["192.0.2.1"]),
        (recorded_facts("new-node"), ("192.0.2.9", "192.0.2.10"), ["192.0.2.9", "192.0.2.10"]),
    ],
)
def test_pods_get_a_resolver_that_is_not_themselves(
    facts: HostFacts, named: tuple[str, ...], servers: list[str]
) -> None:
    (change,) = system.desire_resolver(facts, node_spec(upstream_nameservers=named))
    assert isinstance(change, File)
    assert change.content.decode() == "".join(f"nameserver {server}\n" for server in servers)


def test_a_resolver_on_loopback_alone_is_refused() -> None:
    with pytest.raises(BlockedError, match=r"its only resolver is on a loopback address \(127\.0\.0\.11\)") as caught:
        system.desire_resolver(recorded_facts("new-node"), node_spec(upstream_nameservers=()))
    assert "network.nameservers" in caught.value.next_step


@pytest.mark.parametrize(("can_lower", "restricted"), [(True, False), (False, True)])
def test_containerd_gives_no_negative_oom_score_without_the_right(can_lower: bool, restricted: bool) -> None:
    facts = dataclasses.replace(recorded_facts("new-node"), can_lower_oom_score=can_lower)
    config = next(each for each in runtime.desire_containerd(facts, node_spec()) if each.id.endswith("config.toml"))
    assert isinstance(config, File)
    assert ("restrict_oom_score_adj = true" in config.content.decode()) is restricted


MIRROR = RegistryMirror("localhost:5000", ("http://10.0.0.1:5000", "http://10.0.0.2:5000"))


def certs_d(mirror: RegistryMirror) -> dict[str, File]:
    """Return what containerd reads of a registry, by file name."""
    desired = runtime.desire_containerd(recorded_facts("new-node"), node_spec(mirrors=(mirror,)))
    folder = "/etc/containerd/certs.d/localhost:5000/"
    return {
        each.path.removeprefix(folder): each
        for each in desired
        if isinstance(each, File) and each.path.startswith(folder)
    }


def test_an_open_registry_is_written_as_before() -> None:
    """Byte for byte: an upgrade of kubelab changes nothing on the nodes of a lab that asks for no protection."""
    files = certs_d(MIRROR)
    assert list(files) == ["hosts.toml"]
    assert files["hosts.toml"].mode == 0o644
    assert files["hosts.toml"].content.decode() == (
        'server = "http://10.0.0.1:5000"\n'
        '\n[host."http://10.0.0.1:5000"]\n  capabilities = ["pull", "resolve"]\n'
        '\n[host."http://10.0.0.2:5000"]\n  capabilities = ["pull", "resolve"]\n'
    )


def test_a_protected_registry_is_asked_with_its_authority_and_password() -> None:
    url = "https://172.30.250.2:5000"
    files = certs_d(RegistryMirror("localhost:5000", (url,), authority=b"PEM", authorization="Basic c2VjcmV0"))
    assert list(files) == ["ca.crt", "hosts.toml"]
    assert (files["ca.crt"].content, files["ca.crt"].mode) == (b"PEM", 0o644)
    authority = "/etc/containerd/certs.d/localhost:5000/ca.crt"
    header = {"Authorization": "Basic c2VjcmV0"}
    assert tomllib.loads(files["hosts.toml"].content.decode()) == {
        "server": url,
        "ca": authority,
        "header": header,
        "host": {url: {"capabilities": ["pull", "resolve"], "ca": authority, "header": header}},
    }


def test_a_file_with_the_password_is_roots_alone_and_the_plan_does_not_show_it() -> None:
    file = certs_d(dataclasses.replace(MIRROR, authorization="Basic c2VjcmV0"))["hosts.toml"]
    assert (file.mode, file.owner) == (0o600, "0:0")
    (command,) = file.operations()
    assert "c2VjcmV0" not in f"{file!r}{file.summary}{command!r}{command}"


def test_containerd_restarts_when_what_it_reads_changes() -> None:
    """The stamp follows configuration, unit and programs, and not the mirrors, which are read at each pull."""

    def stamp(**changes: object) -> str:
        unit = runtime.desire_containerd(recorded_facts("new-node"), node_spec(**changes))[-1]
        assert isinstance(unit, Unit)
        return unit.stamp

    assert stamp() == stamp(mirrors=())
    assert stamp() != stamp(pause_image="localhost:5000/kubelab/pause:4")
    programs = {name: dataclasses.replace(local, sha256="c" * 64) for name, local in node_spec().programs.items()}
    assert stamp() != stamp(programs=programs)
