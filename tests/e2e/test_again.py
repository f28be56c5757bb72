"""`kubelab up` where everything is there already, `kubelab status`, and two at once."""

from __future__ import annotations

import json
import subprocess
import time

from .lab import ROOT, Lab, kubelab_argv, pythons_of, read_answer, run_kubelab

UP_TIMEOUT_SECONDS = 60.0


def test_up_again_changes_nothing(lab: Lab) -> None:
    """Every stage says `unchanged`, and the address, the admin and the password's file are told again."""
    answer = read_answer(run_kubelab("up", "--output", "json", timeout_seconds=UP_TIMEOUT_SECONDS))
    changed = {stage["name"]: stage["detail"] for stage in answer["stages"] if stage["outcome"] != "unchanged"}
    assert changed == {}
    assert len(answer["stages"]) >= 10
    assert (answer["address"], answer["admin"]) == (lab.address, lab.admin()[0])


def test_up_again_says_so_to_a_person(lab: Lab) -> None:
    """In words, on standard output, with progress on the other stream."""
    ended = run_kubelab("up", timeout_seconds=UP_TIMEOUT_SECONDS)
    assert ended.returncode == 0, ended.stderr
    assert "Nothing changed." in ended.stdout


def test_status_lists_nodes_versions_and_hub(lab: Lab) -> None:
    """As JSON, with a schema number, and nothing of the password itself."""
    ended = run_kubelab("status", "--output", "json")
    answer = read_answer(ended)
    assert answer["schema"] == 1
    assert answer["kubernetes"] == lab.spec.kubernetes_version
    version = f"v{lab.spec.kubernetes_version}"
    assert [(each["name"], each["ready"], each["version"], each["address"]) for each in answer["nodes"]] == [
        (host.name, True, version, lab.spec.address_of(host.name)) for host in lab.spec.hosts
    ]
    hub = answer["hub"]
    assert (hub["healthy"], hub["problems"], hub["address"], hub["admin"]) == (True, [], lab.address, lab.admin()[0])
    assert (ROOT / hub["password_file"]).read_text().strip() == lab.admin()[1]
    assert answer["release"]["status"] == "deployed"
    assert lab.admin()[1] not in ended.stdout + ended.stderr


def test_images_are_those_that_users_may_pick(lab: Lab) -> None:
    """`kubelab image list` names every Python of the spawn page, with its end of life."""
    rows = read_answer(run_kubelab("image", "list", "--output", "json"))["images"]
    ends = {row["python"]: row["end_of_life"] for row in rows if row["python"]}
    assert set(pythons_of(lab.spec)) <= set(ends)
    assert all(ends.values())


def test_second_up_says_who_holds_the_lock(lab: Lab) -> None:
    """Exit status 3 at once, the first one's process named, a next step, no traceback; the first one ends well."""
    argv = kubelab_argv("up", "--output", "json")
    first = subprocess.Popen(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert first.stderr
        assert first.stderr.readline(), "the first `up` ended before its first stage did"
        began = time.monotonic()
        second = run_kubelab("up", timeout_seconds=30)
        seconds = time.monotonic() - began
        output, errors = first.communicate(timeout=UP_TIMEOUT_SECONDS)
    finally:
        first.kill()
        first.wait(timeout=10)
    assert second.returncode == 3, second.stderr
    assert f"process {first.pid}" in second.stderr
    assert lab.spec.name in second.stderr
    assert "Next: " in second.stderr
    assert "Traceback" not in second.stderr
    assert seconds < 5
    assert first.returncode == 0, errors
    assert {stage["outcome"] for stage in json.loads(output)["stages"]} == {"unchanged"}
