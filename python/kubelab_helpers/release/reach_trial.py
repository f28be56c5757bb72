"""The connections of a release, tried for real: from its hub, its proxy, a stand-in for a user, and a stranger."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kubelab_helpers.cluster.health import ApiError, api_client, is_pod_ready, wait_until_none
from kubelab_helpers.errors import BlockedError, KubelabError
from kubelab_helpers.release.deploy import COMPONENT, NAMESPACE, RELEASE
from kubelab_helpers.release.reach import (
    HUB_PORT,
    KUBELET_PORT,
    METADATA_ADDRESS,
    PROXY_API_PORT,
    PROXY_PORT,
    PROXY_TLS_PORT,
    SERVER_PORT,
    STRANGER_PORT,
    Address,
    Attempt,
    Origin,
    Target,
    Verdict,
    judge,
    plan_attempts,
    weigh,
)
from kubelab_helpers.release.stand_ins import INSTANCE, NEIGHBOUR, SERVER, STRANGER, STRANGERS, stand_ins
from kubelab_helpers.result import Outcome, Reporter

AT_ONCE = 4
SETTLE_SECONDS = 20.0
"""How long a policy has to take effect for a new pod; 1 to 2 s were measured."""
TRY_SECONDS = 2
# Two languages, because the proxy's image has no Python.
PYTHON = f"""
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout={TRY_SECONDS}).close()
    print("open", end="")
except ConnectionRefusedError:
    print("refused", end="")
except TimeoutError:
    print("timeout", end="")
except OSError as error:
    print("unreachable" if error.errno in (101, 113) else error, end="")
"""
NODE = f"""
const [host, port] = process.argv.slice(1);
const say = word => {{ process.stdout.write(word); process.exit(0); }};
const socket = require("net").connect({{host, port: Number(port)}}, () => say("open"));
setTimeout(() => say("timeout"), {TRY_SECONDS * 1000});
const words = {{
    ECONNREFUSED: "refused", ETIMEDOUT: "timeout", ENETUNREACH: "unreachable", EHOSTUNREACH: "unreachable",
}};
socket.on("error", error => say(words[error.code] || String(error.code)));
"""


@dataclass(frozen=True)
class Place:
    """A pod that connections start from: where it is, and which container has the language."""

    namespace: str
    pod: str
    container: str
    program: tuple[str, ...]


def verify_policies(
    kubeconfig: Path,
    policy: Mapping[str, Any],
    reporter: Reporter,
    *,
    outside: Address | None = None,
    metadata: bool = False,
    tls: bool = False,
) -> list[Verdict]:
    """Try every pair that must and must not connect, and return how each went.

    `policy`: the release's values below networkPolicy. `outside`: an address of the internet, and `metadata`: a cloud's
    metadata address; without them nothing is sent out of the cluster. `tls`: whether the proxy's pod ends TLS. The pods
    that this needs are removed at its end. BlockedError unless hub and proxy are ready.
    """
    from kubernetes import client

    with api_client(kubeconfig) as api:
        core = client.CoreV1Api(api)
        hub, proxy = (_find_ready(core, component) for component in ("hub", "proxy"))
        reporter.start("pods")
        with stand_ins(core, hub) as pods:
            reporter.finish("pods", Outcome.CHANGED, f"{len(pods)} run")
            addresses = _find_addresses(core, hub, proxy, pods, tls=tls)
            if metadata:
                addresses[Target.METADATA] = Address(METADATA_ADDRESS, 80)
            if outside:
                addresses[Target.INTERNET] = outside
            attempts = plan_attempts(addresses, policy)
            places = _list_places(hub, proxy)
            reporter.start("connections", total=len(attempts))
            with ThreadPoolExecutor(AT_ONCE) as pool:
                tried = pool.map(lambda each: _try_until_expected(kubeconfig, places[each.origin], each), attempts)
                verdicts = []
                for count, verdict in enumerate(tried, start=1):
                    verdicts.append(verdict)
                    reporter.advance("connections", count)
    failed = sum(not each.ok for each in verdicts)
    reporter.finish("connections", Outcome.FAILED if failed else Outcome.UNCHANGED, f"{failed} of {len(verdicts)} fail")
    return weigh(verdicts)


def _find_ready(core: Any, component: str) -> Any:
    selector = f"{INSTANCE}={RELEASE},{COMPONENT}={component}"
    pods = [each for each in core.list_namespaced_pod(NAMESPACE, label_selector=selector).items if is_pod_ready(each)]
    if not pods:
        raise BlockedError(f"no {component} of the release is ready", next_step="`kubelab status` says what is missing")
    return pods[0]


def _list_places(hub: Any, proxy: Any) -> Mapping[Origin, Place]:
    python, node = ("python3", "-c", PYTHON), ("node", "-e", NODE)
    return {
        Origin.HUB: Place(NAMESPACE, hub.metadata.name, "hub", python),
        Origin.PROXY: Place(NAMESPACE, proxy.metadata.name, "chp", node),
        Origin.SERVER: Place(NAMESPACE, SERVER, "stand-in", python),
        Origin.STRANGER: Place(STRANGERS, STRANGER, "stand-in", python),
    }


def _find_addresses(core: Any, hub: Any, proxy: Any, pods: Mapping[str, str], *, tls: bool) -> dict[Target, Address]:
    names = core.read_namespaced_service("kube-dns", "kube-system").spec.cluster_ip
    api = core.read_namespaced_service("kubernetes", "default").spec.cluster_ip
    return {
        Target.HUB: Address(hub.status.pod_ip, HUB_PORT),
        Target.PROXY: Address(proxy.status.pod_ip, PROXY_TLS_PORT if tls else PROXY_PORT),
        Target.PROXY_API: Address(proxy.status.pod_ip, PROXY_API_PORT),
        Target.SERVER: Address(pods[SERVER], SERVER_PORT),
        Target.NEIGHBOUR: Address(pods[NEIGHBOUR], SERVER_PORT),
        Target.STRANGER: Address(pods[STRANGER], STRANGER_PORT),
        Target.NAMES: Address(names, 53),
        Target.API_SERVER: Address(api, 443),
        Target.KUBELET: Address(hub.status.host_ip, KUBELET_PORT),
    }


def _try_until_expected(kubeconfig: Path, place: Place, attempt: Attempt) -> Verdict:
    """Try until it goes as it must: a policy takes a moment to reach every node."""
    verdict = Verdict(attempt, "it was not tried", ok=False)

    def missing() -> str:
        nonlocal verdict
        verdict = judge(attempt, _try(kubeconfig, place, attempt.address))
        return "" if verdict.ok else verdict.said or "nothing was said"

    try:
        wait_until_none(missing, SETTLE_SECONDS, str(attempt.target))
    except ApiError:
        raise
    except KubelabError:
        return verdict
    return verdict


def _try(kubeconfig: Path, place: Place, address: Address) -> str:
    """Connect from a pod and return the word for how it went. A client a call: exec changes the one that it uses."""
    from kubernetes import client
    from kubernetes.stream import stream

    with api_client(kubeconfig) as api:
        said = stream(
            client.CoreV1Api(api).connect_get_namespaced_pod_exec,
            place.pod,
            place.namespace,
            container=place.container,
            command=[*place.program, address.host, str(address.port)],
            stdout=True,
            stderr=True,
            _request_timeout=30,
        )
    return " ".join(str(said).split())[:200]
