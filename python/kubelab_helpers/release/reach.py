"""Who of a release may reach whom, as a matrix: planned from the values and judged here, tried elsewhere.

A denied pair proves something only where its target answers somebody else in the same run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from kubelab_helpers.errors import InvalidInputError

METADATA_ADDRESS = "169.254.169.254"
"""Where clouds keep the credentials of a machine: https://cloud.google.com/compute/docs/metadata/overview"""
HUB_PORT, PROXY_PORT, PROXY_TLS_PORT, PROXY_API_PORT, SERVER_PORT, STRANGER_PORT = 8081, 8000, 8443, 8001, 8888, 8080
KUBELET_PORT = 10250

WORDS = {"open", "refused", "timeout", "unreachable"}
"""What a pod says of a connection that it could try."""


class Origin(StrEnum):
    """Who asks."""

    HUB = "hub"
    PROXY = "proxy"
    SERVER = "user's server"
    STRANGER = "other namespace"


class Target(StrEnum):
    """Who is asked."""

    HUB = "hub"
    PROXY = "public proxy"
    PROXY_API = "proxy's API"
    SERVER = "user's server"
    NEIGHBOUR = "other user's server"
    STRANGER = "other namespace"
    NAMES = "names"
    API_SERVER = "API server"
    KUBELET = "kubelet"
    METADATA = "cloud metadata"
    INTERNET = "internet"


@dataclass(frozen=True)
class Address:
    """Where a target listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Attempt:
    """One connection to try, and whether it must succeed; None: nobody says, and it shows whether something answers."""

    origin: Origin
    target: Target
    address: Address
    allowed: bool | None


@dataclass(frozen=True)
class Verdict:
    """How an attempt went: `said` is `open`, `refused`, `timeout`, or why nothing could be tried."""

    attempt: Attempt
    said: str
    ok: bool
    proves: bool = True
    """Whether it says anything about policies: something answers at the target."""


PEERS: Mapping[Origin, frozenset[Target]] = {
    Origin.HUB: frozenset({Target.PROXY_API, Target.SERVER, Target.NEIGHBOUR, Target.NAMES, Target.API_SERVER}),
    Origin.PROXY: frozenset({Target.HUB, Target.SERVER, Target.NEIGHBOUR, Target.NAMES}),
    Origin.SERVER: frozenset({Target.HUB, Target.NAMES}),
    Origin.STRANGER: frozenset({Target.PROXY}),
}
"""Whom each may reach, whatever the values say."""
ELSEWHERE = frozenset(
    {Target.STRANGER, Target.NAMES, Target.API_SERVER, Target.KUBELET, Target.METADATA, Target.INTERNET}
)
"""What is not of the release: no policy of it speaks for a stranger there, and a component's own extraEgress may."""
SELF = {
    (Origin.HUB, Target.HUB),
    (Origin.PROXY, Target.PROXY),
    (Origin.PROXY, Target.PROXY_API),
    (Origin.SERVER, Target.SERVER),
}
"""A pod always reaches itself."""


OUTWARD = {Origin.HUB: "hub", Origin.PROXY: "proxy", Origin.SERVER: "singleuser"}
INWARD = {
    Target.HUB: "hub",
    Target.PROXY: "proxy",
    Target.PROXY_API: "proxy",
    Target.SERVER: "singleuser",
    Target.NEIGHBOUR: "singleuser",
}
"""Where the values below networkPolicy have a component's own rules."""


def plan_attempts(addresses: Mapping[Target, Address], policy: Mapping[str, Any]) -> tuple[Attempt, ...]:
    """Return every pair to try, by the values below `networkPolicy`; targets without an address are left out."""
    return tuple(
        Attempt(origin, target, address, decide(origin, target, address.port, policy))
        for origin in Origin
        for target, address in addresses.items()
        if (origin, target) not in SELF
    )


def decide(origin: Origin, target: Target, port: int, policy: Mapping[str, Any]) -> bool | None:
    """Return whether the pair must connect, or None where the values' own rules, or nobody, decide that."""
    if _has_own_rules(origin, target, policy):
        return True if target in PEERS[origin] else None
    if origin is Origin.SERVER and target is Target.NAMES:
        return bool(policy["singleuser"]["egress"] != "strict")
    if origin is Origin.SERVER and target is Target.INTERNET:
        return _lets_out(port, policy["singleuser"])
    return target in PEERS[origin]


def _has_own_rules(origin: Origin, target: Target, policy: Mapping[str, Any]) -> bool:
    if origin is Origin.STRANGER and target in ELSEWHERE:
        return True
    leaves = target in ELSEWHERE and policy.get(OUTWARD.get(origin, ""), {}).get("extraEgress")
    return bool(leaves or policy.get(INWARD.get(target, ""), {}).get("extraIngress"))


def _lets_out(port: int, singleuser: Mapping[str, Any]) -> bool | None:
    """Return whether a preset lets a server reach a public address; with mirrors named, that depends on the address."""
    preset = singleuser["egress"]
    if preset == "packages" and singleuser.get("packageCidrs"):
        return None
    return bool(preset == "internet" or (preset == "packages" and port in {80, 443}))


def parse_address(text: str) -> Address:
    """Read `HOST:PORT`; InvalidInputError for anything else."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536:
        raise InvalidInputError(f"{text!r} is no address", next_step="give it as HOST:PORT, such as 192.0.2.1:443")
    return Address(host.strip("[]"), int(port))


def judge(attempt: Attempt, said: str) -> Verdict:
    """Return how it went: what is allowed must open, what is denied must be dropped or refused on the way."""
    opened = said == "open"
    return Verdict(attempt, said, ok=said in WORDS and attempt.allowed in {opened, None})


def weigh(verdicts: Iterable[Verdict]) -> list[Verdict]:
    """Mark the denials that prove nothing, because nobody in this run was answered by their target."""
    listed = list(verdicts)
    answering = {each.attempt.target for each in listed if each.said == "open"}
    return [replace(each, proves=each.attempt.target in answering) for each in listed]


def find_failed(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Return those that did not go as they must."""
    return [each for each in verdicts if not each.ok]


def draw_matrix(verdicts: Sequence[Verdict]) -> tuple[list[str], list[list[str]]]:
    """Return columns and rows of the matrix: what happened, and with `!` what should not have."""
    targets = [each for each in Target if any(verdict.attempt.target is each for verdict in verdicts)]
    found = {(each.attempt.origin, each.attempt.target): each for each in verdicts}
    rows = [[str(origin), *(_cell(found.get((origin, target))) for target in targets)] for origin in Origin]
    return ["from", *map(str, targets)], rows


def _cell(verdict: Verdict | None) -> str:
    if verdict is None:
        return "-"
    word = "open" if verdict.said == "open" else "closed"
    if not verdict.ok:
        return f"! {word if verdict.said in WORDS else verdict.said}"
    return word if verdict.proves else f"({word})"


def as_data(verdict: Verdict) -> dict[str, Any]:
    """Return a verdict for JSON."""
    attempt = verdict.attempt
    return {
        "from": str(attempt.origin),
        "to": str(attempt.target),
        "address": f"{attempt.address.host}:{attempt.address.port}",
        "allowed": attempt.allowed,
        "said": verdict.said,
        "ok": verdict.ok,
        "proves": verdict.proves,
    }
