"""Who may reach whom: the matrix from the values, and what a word from a pod means."""

from __future__ import annotations

from typing import Any

import pytest

from kubelab_helpers.errors import InvalidInputError
from kubelab_helpers.release.reach import (
    Address,
    Attempt,
    Origin,
    Target,
    Verdict,
    decide,
    draw_matrix,
    find_failed,
    judge,
    parse_address,
    plan_attempts,
    weigh,
)

ADDRESSES = {target: Address("192.0.2.1", 8000) for target in Target}


def policy(egress: str = "internet", **parts: Any) -> dict[str, Any]:
    """Values below networkPolicy."""
    return {"hub": {}, "proxy": {}, "singleuser": {"egress": egress}, **parts}


def attempt(allowed: bool | None, target: Target = Target.HUB) -> Attempt:
    """One connection of a user's server."""
    return Attempt(Origin.SERVER, target, Address("192.0.2.1", 8081), allowed)


def test_each_pair_is_tried_but_a_pod_with_itself() -> None:
    pairs = {(each.origin, each.target) for each in plan_attempts(ADDRESSES, policy())}
    assert len(pairs) == len(Origin) * len(Target) - 4
    assert (Origin.PROXY, Target.PROXY_API) not in pairs


def test_what_nobody_listens_at_is_left_out() -> None:
    """The internet is only tried where its address was given."""
    known: dict[Target, Address] = {
        target: address for target, address in ADDRESSES.items() if target is not Target.INTERNET
    }
    assert Target.INTERNET not in {each.target for each in plan_attempts(known, policy())}


@pytest.mark.parametrize(
    ("egress", "names", "web", "other"),
    [
        ("internet", True, True, True),
        ("packages", True, True, False),
        ("none", True, False, False),
        ("strict", False, False, False),
    ],
)
def test_presets_decide_what_a_user_reaches(egress: str, names: bool, web: bool, other: bool) -> None:
    found = [
        decide(Origin.SERVER, target, port, policy(egress))
        for target, port in ((Target.NAMES, 53), (Target.INTERNET, 443), (Target.INTERNET, 22))
    ]
    assert found == [names, web, other]
    for target in (
        Target.NEIGHBOUR,
        Target.PROXY_API,
        Target.PROXY,
        Target.API_SERVER,
        Target.KUBELET,
        Target.METADATA,
    ):
        assert decide(Origin.SERVER, target, 443, policy(egress)) is False
    assert decide(Origin.SERVER, Target.HUB, 8081, policy(egress)) is True


def test_rules_of_ones_own_are_not_guessed_at() -> None:
    """What they add is the operator's; what the chart itself lets through must still go."""
    own = policy(hub={"extraEgress": [{}]}, singleuser={"egress": "none", "extraIngress": [{}]})
    assert decide(Origin.HUB, Target.METADATA, 80, own) is None
    assert decide(Origin.HUB, Target.API_SERVER, 443, own) is True
    assert decide(Origin.STRANGER, Target.SERVER, 8888, own) is None
    assert decide(Origin.PROXY, Target.SERVER, 8888, own) is True
    assert decide(Origin.SERVER, Target.PROXY_API, 8001, own) is False
    mirrors = policy(singleuser={"egress": "packages", "packageCidrs": ["192.0.2.0/24"]})
    assert decide(Origin.SERVER, Target.INTERNET, 443, mirrors) is None


def test_a_stranger_shows_what_answers() -> None:
    """No policy of the release speaks for it elsewhere; to the release it has the public proxy only."""
    assert decide(Origin.STRANGER, Target.API_SERVER, 443, policy()) is None
    assert decide(Origin.STRANGER, Target.PROXY, 8000, policy()) is True
    assert decide(Origin.STRANGER, Target.HUB, 8081, policy()) is False


@pytest.mark.parametrize(
    ("allowed", "said", "ok"),
    [
        (True, "open", True),
        (True, "timeout", False),
        (True, "refused", False),
        (False, "timeout", True),
        (False, "open", False),
        (None, "open", True),
        (None, "timeout", True),
        (False, "exec: python3: not found", False),
        (None, "", False),
    ],
)
def test_a_word_is_judged(allowed: bool | None, said: str, ok: bool) -> None:
    """What could not be tried is no denial."""
    assert judge(attempt(allowed), said).ok is ok


def test_a_denial_proves_nothing_where_nobody_is_answered() -> None:
    verdicts = weigh([judge(attempt(False, Target.METADATA), "timeout"), judge(attempt(True), "open")])
    assert [each.proves for each in verdicts] == [False, True]
    columns, rows = draw_matrix(verdicts)
    assert columns == ["from", "hub", "cloud metadata"]
    assert rows[2] == ["user's server", "open", "(closed)"]
    assert rows[0] == ["hub", "-", "-"]


def test_what_went_wrong_is_marked() -> None:
    verdicts = [judge(attempt(False, Target.NEIGHBOUR), "open"), judge(attempt(True), "timeout")]
    assert find_failed(verdicts) == verdicts
    assert draw_matrix(verdicts)[1][2] == ["user's server", "! closed", "! open"]
    broken = Verdict(attempt(True), "no such pod", ok=False)
    assert draw_matrix([broken])[1][2] == ["user's server", "! no such pod"]


@pytest.mark.parametrize("text", ["example.org", "example.org:", ":443", "example.org:https", "example.org:70000"])
def test_an_address_is_a_host_and_a_port(text: str) -> None:
    with pytest.raises(InvalidInputError, match="is no address"):
        parse_address(text)


def test_an_address_may_be_of_either_family() -> None:
    assert parse_address("192.0.2.1:443") == Address("192.0.2.1", 443)
    assert parse_address("[2001:db8::1]:80") == Address("2001:db8::1", 80)
