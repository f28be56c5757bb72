"""kubelab.yaml: what it may say, and that every mistake is refused with its line before anything is touched."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubelab_helpers import resources
from kubelab_helpers.artifacts.catalog import load_catalog
from kubelab_helpers.cluster.contradictions import find_contradictions
from kubelab_helpers.cluster.registry_secrets import Protection
from kubelab_helpers.cluster.spec import HostSpec, LabSpec, Ports, read_spec
from kubelab_helpers.errors import ExitStatus, InvalidInputError
from kubelab_helpers.hosts.ssh_access import SshAccess

FULL = """\
name: physics
kubernetes: {version: 1.37.2}
hosts:
  - {name: head, role: control-plane}
  - {name: one, role: worker, container: {}}
  - {name: two, role: worker}
network:
  podCidr: 10.10.0.0/16
  serviceCidr: 10.20.0.0/16
  containerSubnet: 172.31.7.0/24
  nameservers: [192.0.2.1]
ports: {http: 8080, https: 8443, api: 7443, registry: 5001}
registry: {tls: true, authentication: true}
source: modules
bundle: parts/bundle.tar
trust: {caBundle: /etc/company.pem}
pythons: ["3.13"]
values:
  hub: {config: {}}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "kubelab.yaml"
    file.write_text(text)
    return file


def refusal(folder: Path, text: str) -> str:
    """Return why a text is refused; its place is shown as `kubelab.yaml`."""
    file = write(folder, text)
    with pytest.raises(InvalidInputError) as caught:
        read_spec(file)
    assert caught.value.exit_status is ExitStatus.INVALID
    assert caught.value.next_step
    return caught.value.what.replace(str(file), "kubelab.yaml")


def test_everything_that_can_be_said(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, FULL))
    assert spec == LabSpec(
        name="physics",
        hosts=(HostSpec("head", "control-plane"), HostSpec("one", "worker", container=True), HostSpec("two", "worker")),
        pod_cidr="10.10.0.0/16",
        service_cidr="10.20.0.0/16",
        container_subnet="172.31.7.0/24",
        nameservers=("192.0.2.1",),
        ports=Ports(http=8080, https=8443, api=7443, registry=5001),
        registry=Protection(tls=True, authentication=True),
        source="modules",
        bundle=tmp_path / "parts/bundle.tar",
        ca_bundle=Path("/etc/company.pem"),
        pythons=("3.13",),
        values={"hub": {"config": {}}},
    )
    assert [spec.address_of(host.name) for host in spec.hosts] == ["172.31.7.10", "172.31.7.11", "172.31.7.12"]
    assert spec.registry_address == "172.31.7.2"
    assert spec.endpoint == "physics.kubelab.internal:6443"


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "{}\n"])
def test_an_empty_file_is_the_default_lab(tmp_path: Path, text: str) -> None:
    assert read_spec(write(tmp_path, text)) == LabSpec()


def test_without_a_file_the_one_in_the_folder_counts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert read_spec(None) == LabSpec()
    write(tmp_path, "name: here\n")
    assert read_spec(None).name == "here"


def test_the_default_lab_contradicts_nothing() -> None:
    assert find_contradictions(LabSpec()) == []


def test_the_schema_knows_every_default() -> None:
    """The versions that the schema offers are those that parts are carried of; the first is the default."""
    schema = json.loads(resources.path("host-setup/kubelab.schema.json").read_text())
    offered = schema["properties"]["kubernetes"]["properties"]["version"]["enum"]
    assert tuple(offered) == load_catalog().kubernetes_versions
    assert offered[0] == LabSpec().kubernetes_version
    assert set(schema["properties"]["ports"]["properties"]) == set(vars(Ports()))
    assert set(schema["properties"]["registry"]["properties"]) == set(vars(Protection()))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("name: a\nport:\n  http: 1\n", "kubelab.yaml:2: port: unknown key; did you mean ports?"),
        ("ports:\n  htp: 8080\n", "kubelab.yaml:2: ports.htp: unknown key; did you mean http?"),
        ("network:\n  podCIDR: 10.0.0.0/16\n", "kubelab.yaml:2: network.podCIDR: unknown key; did you mean podCidr?"),
        ("zebra: 1\n", "kubelab.yaml:1: zebra: unknown key"),
        (
            "hosts:\n  - name: a\n    role: control-plane\n    adress: 1\n",
            "kubelab.yaml:4: hosts[0].adress: unknown key",
        ),
        ("ports:\n  http: eighty\n", "kubelab.yaml:2: ports.http: integer is wanted, not string"),
        ("ports:\n  http: true\n", "kubelab.yaml:2: ports.http: integer is wanted, not boolean"),
        ("registry: {TLS: true}\n", "kubelab.yaml:1: registry.TLS: unknown key; did you mean tls?"),
        ("registry: {tls: 1}\n", "kubelab.yaml:1: registry.tls: boolean is wanted, not integer"),
        ("ports: 8080\n", "kubelab.yaml:1: ports: object is wanted, not integer"),
        ("hosts: {}\n", "kubelab.yaml:1: hosts: array is wanted, not object"),
        ("name:\n", "kubelab.yaml:1: name: string is wanted, not null"),
        ("ports:\n\n  http: 0\n", "kubelab.yaml:3: ports.http: 0 is out of range: the minimum is 1"),
        ("ports: {http: 65536}\n", "kubelab.yaml:1: ports.http: 65536 is out of range: the maximum is 65535"),
        (
            "hosts:\n  - {name: a, role: controlplane}\n",
            "kubelab.yaml:2: hosts[0].role: 'controlplane' is none of control-plane, worker; "
            "did you mean control-plane?",
        ),
        ("hosts:\n  - {name: a}\n", "kubelab.yaml:2: hosts[0]: role is missing"),
        ("source: moduls\n", "did you mean modules?"),
        ("name: Physics\n", "kubelab.yaml:1: name: does not match"),
        ("pythons: [3.13]\n", "kubelab.yaml:1: pythons[0]: string is wanted, not number"),
        ("a: 1\na: 2\n", "kubelab.yaml:2: a stands twice"),
        ("name: [\n", "kubelab.yaml:2:"),
        ("- name: a\n", "kubelab.yaml:1: a mapping is wanted at the top, not a list"),
    ],
)
def test_a_mistake_is_refused_with_its_line(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    said = refusal(tmp_path, "nam: a\nports:\n  http: x\n  api: y\n")
    assert [line.split(": ")[0] for line in said.splitlines()] == [f"kubelab.yaml:{line}" for line in (1, 4, 3)]


HOSTS = "hosts: [{name: a, role: control-plane}, {name: b, role: %s}]\n"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (HOSTS % "control-plane", "hosts: 2 control planes: etcd needs more than half of them"),
        ("hosts: [{name: a, role: worker}]\n", "hosts: a control plane is wanted, and none has that role"),
        ((HOSTS % "worker").replace("name: b", "name: a"), "hosts: a stands twice"),
        (
            "network: {podCidr: 10.96.0.0/16}\n",
            "network.podCidr 10.96.0.0/16 overlaps network.serviceCidr 10.96.0.0/12",
        ),
        (
            "network: {containerSubnet: 10.244.3.0/24}\n",
            "network.containerSubnet 10.244.3.0/24 overlaps network.podCidr 10.244.0.0/16",
        ),
        (
            "registry: {tls: true, authentication: true}\n"
            "hosts: [{name: a, role: control-plane, address: 192.0.2.1, ssh: {}}]\n",
            "registry: tls and authentication: only this machine's registry has that",
        ),
        ("network: {podCidr: 10.244.0.0/33}\n", "network.podCidr: '33' is not a valid netmask"),
        ("network: {podCidr: 10.244.0.1/16}\n", "network.podCidr: 10.244.0.1/16 has host bits set"),
        ("network: {serviceCidr: everywhere}\n", "network.serviceCidr: "),
        ("network: {containerSubnet: 172.30.9.0/29}\n", "172.30.9.0/29 is too small for 2 hosts"),
        ("network: {nameservers: [dns.example]}\n", "network.nameservers: dns.example is no address"),
        ("network: {nameservers: [127.0.0.53]}\n", "network.nameservers: 127.0.0.53 is this machine's alone"),
        ("ports: {http: 8443, https: 8443}\n", "ports: 8443 stands twice"),
        ("ports: {http: 6443}\n", "ports: 6443 stands twice"),
    ],
)
def test_a_contradiction_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match=r"absent\.yaml cannot be read: No such file or directory"):
        read_spec(tmp_path / "absent.yaml")


def test_a_folder_and_bytes_are_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInputError, match="cannot be read: Is a directory"):
        read_spec(tmp_path)
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\0")
    with pytest.raises(InvalidInputError, match=r"bytes\.yaml"):
        read_spec(tmp_path / "bytes.yaml")


REMOTE = """\
name: physics
endpoint: k8s.example.org
hosts:
  - name: head
    role: control-plane
    address: 192.0.2.10
    publicAddress: 198.51.100.1
    ssh: {user: anna, identityFile: keys/id, knownHosts: /keys/known, jump: "bob@gate:2200"}
  - {name: one, role: worker, address: 192.0.2.11, ssh: {host: one.example.org, port: 2222, acceptNewHostKey: true}}
  - {name: here, role: worker, address: 192.0.2.12, local: true}
network: {mtu: 1400, certificateSans: [hub.example.org]}
"""


def test_hosts_over_ssh(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, REMOTE))
    head, one, here = spec.hosts
    assert head.ssh == SshAccess(
        "192.0.2.10", "anna", None, tmp_path / "keys/id", "bob@gate:2200", Path("/keys/known"), False
    )
    assert one.ssh == SshAccess("one.example.org", port=2222, accept_new_host_key=True)
    assert (here.ssh, here.local) == (None, True)
    assert [spec.address_of(host.name) for host in spec.hosts] == ["192.0.2.10", "192.0.2.11", "192.0.2.12"]
    assert (spec.endpoint, spec.mtu, spec.certificate_sans) == ("k8s.example.org:6443", 1400, ("hub.example.org",))
    assert not spec.has_containers


def test_an_unknown_host_is_answered_with_the_nearest(tmp_path: Path) -> None:
    spec = read_spec(write(tmp_path, REMOTE))
    with pytest.raises(InvalidInputError, match="has no host haed; did you mean head"):
        spec.host("haed")


def remote(*entries: str) -> str:
    return "hosts:\n" + "".join(f"  - {{{entry}}}\n" for entry in entries)


HEAD = "name: head, role: control-plane, address: 192.0.2.10, ssh: {}"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            remote(HEAD, "name: one, role: worker, address: 192.0.2.10, ssh: {}"),
            "address: 192.0.2.10 stands twice",
        ),
        (remote(HEAD, "name: head, role: worker, address: 192.0.2.11, ssh: {}"), "hosts: head stands twice"),
        (remote("name: head, role: control-plane, ssh: {}"), "hosts: head: address is missing"),
        (
            remote("name: head, role: control-plane, address: '2001:db8::1', ssh: {}"),
            "hosts: head: address 2001:db8::1 is IPv6, and kubelab makes IPv4 clusters",
        ),
        (remote("name: head, role: control-plane, address: head.example, ssh: {}"), "head.example is no address"),
        (remote("name: head, role: control-plane, address: 127.0.0.1, local: true"), "none by which another host"),
        (remote("name: head, role: control-plane, address: 10.244.3.4, ssh: {}"), "10.244.3.4 lies in network.podCidr"),
        (remote("name: head, role: control-plane, address: 10.97.0.1, ssh: {}"), "lies in network.serviceCidr"),
        (remote(f"{HEAD}, local: true"), "hosts: head: ssh and local exclude each other"),
        (remote(HEAD, "name: one, role: worker"), "hosts: one: a container node is reached from this machine alone"),
        (remote("name: head, role: control-plane, address: 192.0.2.10"), "a container node gets its address from"),
        (
            remote(HEAD, *(f"name: c{n}, role: control-plane, address: 192.0.2.{n}, ssh: {{}}" for n in (1, 2, 3))),
            "4 control planes: etcd needs more than half of them, so that 4 bear no more failures than 3",
        ),
        (remote("name: Head, role: control-plane"), "kubelab.yaml:2: hosts[0].name: Head: has upper case"),
        (remote(f"name: {'a' * 64}, role: control-plane"), "has 64 characters; Linux and Kubernetes take 63"),
        (remote("name: my_head, role: control-plane"), "lower-case letters, digits and hyphens"),
        (
            remote("name: a, role: worker, ssh: {usr: b}"),
            "kubelab.yaml:2: hosts[0].ssh.usr: unknown key; did you mean",
        ),
        (remote("name: a, role: worker, ssh: {jump: '-oProxyCommand=id'}"), "hosts[0].ssh.jump: does not match"),
        (remote("name: a, role: worker, ssh: {jump: 'gate,-F/tmp/x'}"), "hosts[0].ssh.jump: does not match"),
        (remote("name: a, role: worker, ssh: {host: -oProxyCommand}"), "hosts[0].ssh.host: does not match"),
        (remote("name: a, role: worker, ssh: {user: '-l'}"), "hosts[0].ssh.user: does not match"),
        ("network: {mtu: 100}\n", "network.mtu: 100 is out of range: the minimum is 1280"),
    ],
)
def test_a_host_that_cannot_be_is_refused(tmp_path: Path, text: str, said: str) -> None:
    assert said in refusal(tmp_path, text)


def test_three_control_planes_are_taken(tmp_path: Path) -> None:
    text = remote(HEAD, *(f"name: c{n}, role: control-plane, address: 192.0.2.{n}, ssh: {{}}" for n in (1, 2)))
    assert len(read_spec(write(tmp_path, text)).control_planes) == 3


def test_the_networks_of_container_nodes_do_not_concern_other_hosts(tmp_path: Path) -> None:
    text = remote(HEAD) + "network: {podCidr: 172.30.0.0/16}\n"
    assert read_spec(write(tmp_path, text)).pod_cidr == "172.30.0.0/16"
