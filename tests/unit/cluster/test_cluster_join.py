"""Further control planes: what they get, that their secrets stay on stdin, and that flags have their own address."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
import yaml

from kubelab_helpers.cluster import kubeadm
from kubelab_helpers.cluster.credentials import issue_control_plane_credentials
from kubelab_helpers.cluster.patches import node_patches
from kubelab_helpers.cluster.ticket import Ticket, decode_ticket, encode_ticket, require_no_twin
from kubelab_helpers.errors import BlockedError, InvalidInputError
from kubelab_helpers.hosts.change import Action
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.file import File
from kubelab_helpers.hosts.journal import intent_line
from kubelab_helpers.hosts.plan import PlannedChange
from kubelab_helpers.hosts.state import HostState
from tests.unit.hosts.support import Answering, ids, node_spec, recorded_facts

TOKEN, CA_HASH, KEY = "abcdef.0123456789abcdef", "sha256:" + "c" * 64, "ab" * 32
ENCRYPTION = b"secret: c2VjcmV0LWtleS1vZi10aGUtY2x1c3Rlcg==\n"
CREDENTIALS = kubeadm.JoinCredentials(TOKEN, CA_HASH, KEY, ENCRYPTION)
SECOND = {
    "name": "control-2",
    "role": "control-plane",
    "address": "172.30.250.11",
    "control_plane_addresses": ("172.30.250.11", "172.30.250.10"),
}


def join_changes(*, schedulable: bool = False, credentials: kubeadm.JoinCredentials | None = CREDENTIALS) -> list[Any]:
    return kubeadm.join_step(credentials, schedulable=schedulable).desire(
        recorded_facts("new-node"), node_spec(**SECOND)
    )


def join_document(*, schedulable: bool = False) -> dict[str, Any]:
    operations = join_changes(schedulable=schedulable)[-1].operations()
    commands = [each for each in operations if TOKEN.encode() in (each.stdin or b"")]
    assert len(commands) == 1
    document: dict[str, Any] = yaml.safe_load(commands[0].stdin)
    return document


def test_the_changes_of_a_further_control_plane() -> None:
    patches = [f"file:/etc/kubernetes/kubelab/patches/{name}+json.json" for name in node_patches(node_spec(**SECOND))]
    expected = [
        "file:/etc/kubernetes/kubelab/audit-policy.yaml",
        *patches,
        "action:encryption-key",
        "action:kubeadm-join",
    ]
    assert ids(join_changes()) == expected
    assert ids(join_changes(credentials=None)) == expected


def test_the_join_file_of_a_control_plane() -> None:
    document = join_document()
    assert document["controlPlane"] == {
        "localAPIEndpoint": {"advertiseAddress": "172.30.250.11", "bindPort": 6443},
        "certificateKey": KEY,
    }
    assert document["patches"] == {"directory": "/etc/kubernetes/kubelab/patches"}


@pytest.mark.parametrize(("schedulable", "registration"), [(True, {"taints": []}), (False, {})])
def test_pods_run_on_it_only_where_there_are_no_workers(schedulable: bool, registration: dict[str, Any]) -> None:
    found = join_document(schedulable=schedulable)["nodeRegistration"]
    assert {key: value for key, value in found.items() if key == "taints"} == registration


def test_secrets_are_on_no_argv_and_in_no_journal() -> None:
    state = HostState()
    for change in join_changes():
        shown = " ".join(str(command) for command in change.operations())
        journalled = json.dumps(intent_line("run", PlannedChange("join", change), state))
        for secret in (TOKEN, KEY, ENCRYPTION.decode().split()[1]):
            assert secret not in f"{shown} {journalled} {change!r} {change.summary} {CREDENTIALS!r}"


def test_the_encryption_key_is_copied_as_it_is() -> None:
    change = next(each for each in join_changes() if each.id == "action:encryption-key")
    assert isinstance(change, Action)
    assert change.commands[0].stdin == ENCRYPTION
    assert change.commands[0].argv[4:6] == ("/etc/kubernetes/kubelab/encryption.yaml", "600")


def test_a_join_is_not_sent_twice_over_a_broken_connection() -> None:
    assert [each.once for each in join_changes()[-1].commands] == [True]


@pytest.mark.parametrize("name", ["etcd", "kube-controller-manager", "kube-scheduler"])
def test_flags_and_probes_have_the_nodes_own_address(name: str) -> None:
    operations = json.loads(node_patches(node_spec(**SECOND))[name])
    flag = operations[0]
    assert (flag["op"], flag["path"]) == ("add", "/spec/containers/0/command/-")
    assert "172.30.250.11" in flag["value"]
    hosts = [each["value"] for each in operations if each["path"].endswith("/httpGet/host")]
    assert hosts == ["172.30.250.11"] * 2


def test_a_worker_gets_none_of_it() -> None:
    changes = kubeadm.join_step(CREDENTIALS).desire(recorded_facts("new-node"), node_spec())
    assert ids(changes) == ["action:kubeadm-join"]
    assert not [each for each in changes if isinstance(each, File)]


def test_credentials_for_a_control_plane() -> None:
    """The key goes to the first control plane on stdin, and the certificates' version is not asked of the internet."""

    def answer(command: Command) -> bytes:
        if "token" in command.argv:
            return f"kubeadm join c:6443 --token {TOKEN} --discovery-token-ca-cert-hash {CA_HASH}\n".encode()
        return ENCRYPTION if command.argv[0] == "cat" else b""

    runner = Answering(answer)
    issued = issue_control_plane_credentials(runner, "1.37.2")
    assert (issued.token, issued.ca_hash, issued.encryption) == (TOKEN, CA_HASH, ENCRYPTION)
    assert len(bytes.fromhex(issued.certificate_key)) == 32
    assert all(issued.certificate_key not in str(each) for each in runner.asked)
    (upload,) = [each for each in runner.asked if "upload-certs" in each.argv]
    init, cluster = yaml.safe_load_all(upload.stdin or b"")
    assert init["certificateKey"] == issued.certificate_key
    assert cluster["kubernetesVersion"] == "v1.37.2"


TICKET = Ticket(
    "kubelab",
    "kubelab.kubelab.internal:6443",
    "1.37.2",
    "10.244.0.0/16",
    "10.96.0.0/12",
    ("192.0.2.1",),
    TOKEN,
    CA_HASH,
    nodes=(("control-1", "192.0.2.1"), ("worker-1", "192.0.2.9"), ("booting", "")),
)


def test_a_ticket_is_one_line_and_is_read_again() -> None:
    text = encode_ticket(TICKET)
    assert text.split() == [text]
    assert decode_ticket(f"{text}\n") == TICKET


@pytest.mark.parametrize("change", [{"schema": 1}, {"nodes": 3}, {"control_planes": None}])
def test_a_ticket_of_another_release_is_none(change: dict[str, Any]) -> None:
    """What it holds is not shown: it is a secret."""
    data = json.loads(base64.b64decode(encode_ticket(TICKET))) | change
    with pytest.raises(InvalidInputError, match="this is no ticket") as caught:
        decode_ticket(base64.b64encode(json.dumps(data).encode()).decode())
    assert TOKEN not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "address"), [("new", "192.0.2.20"), ("worker-1", "192.0.2.9"), ("booting", "192.0.2.21")]
)
def test_a_new_host_and_the_one_of_a_join_that_was_cut_off_have_no_twin(name: str, address: str) -> None:
    require_no_twin(TICKET, name, address)


@pytest.mark.parametrize(("name", "address"), [("worker-1", "192.0.2.20"), ("new", "192.0.2.9")])
def test_a_twin_is_refused(name: str, address: str) -> None:
    with pytest.raises(BlockedError, match=r"has a node worker-1 at 192\.0\.2\.9, and this host is"):
        require_no_twin(TICKET, name, address)
