"""`kubelab-host check`: whether this host, or several, can be nodes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubelab_helpers.cli.options import NodeRole, Output, OutputOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubelab_helpers.hosts.facts import HostFacts
    from kubelab_helpers.hosts.findings import Finding, Subject

STATE = Path("/var/lib")


RoleOption = Annotated[NodeRole, typer.Option("--role", help="What the host is to become.")]
PodCidrOption = Annotated[str, typer.Option("--pod-cidr", help="Addresses of pods.")]
ServiceCidrOption = Annotated[str, typer.Option("--service-cidr", help="Addresses of Services.")]


def check(
    role: RoleOption = NodeRole.CONTROL_PLANE,
    pod_cidr: PodCidrOption = "10.244.0.0/16",
    service_cidr: ServiceCidrOption = "10.96.0.0/12",
    facts: Annotated[
        list[Path] | None, typer.Option("--facts", help="Check recorded hosts instead: files of `facts -o json`.")
    ] = None,
    active: Annotated[
        bool, typer.Option("--active", help="Try the disk and the kernel too, with temporary files and a namespace.")
    ] = False,
    reach: Annotated[list[str] | None, typer.Option("--reach", help="With --active: a registry's URL to ask.")] = None,
    html: Annotated[Path | None, typer.Option("--html", help="Write the report as one HTML page.")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Show what is well too.")] = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Check whether this host is fit to be a node; it only reads. Exit status 3 when something must be mended first.

    Example: kubelab-host check --role worker --html check.html
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.errors import ExitStatus, InvalidInputError
    from kubelab_helpers.hosts.checks import check_hosts
    from kubelab_helpers.hosts.findings import Severity, Subject, worst

    if (active and facts) or (reach and not active):
        raise InvalidInputError("--reach needs --active, and --active needs this host: recorded ones cannot be tried")
    networks = _networks(pod_cidr, service_cidr)
    subjects = [Subject(each, role.value, networks[0], networks[1]) for each in (_read(facts) if facts else [_probe()])]
    findings = [*check_hosts(subjects), *(_try(subjects[0].name, reach or []) if active else ())]
    if html:
        _write_report(html, subjects, findings)
    if output is Output.JSON:
        render.print_json({"worst": worst(findings), "findings": [vars(each) for each in findings]})
    else:
        render.print_findings([each for each in findings if everything or each.severity is not Severity.OK])
        render.print_text(_summary(findings))
    if worst(findings) is Severity.BLOCKED:
        raise typer.Exit(ExitStatus.BLOCKED)


def _networks(*texts: str) -> list[str]:
    from ipaddress import IPv4Network

    from kubelab_helpers.errors import InvalidInputError

    try:
        first, second = (IPv4Network(text) for text in texts)
    except ValueError as error:
        raise InvalidInputError(f"a network is wanted: {error}", next_step="such as 10.244.0.0/16") from error
    if first.overlaps(second):
        raise InvalidInputError(f"the networks {first} and {second} overlap", next_step="choose two apart")
    return [str(first), str(second)]


def _probe() -> HostFacts:
    from kubelab_helpers.hosts.facts import probe_host
    from kubelab_helpers.hosts.runner import LocalRunner

    return probe_host(LocalRunner())


def _read(files: Sequence[Path]) -> list[HostFacts]:
    import json
    from dataclasses import replace

    from kubelab_helpers.errors import InvalidInputError
    from kubelab_helpers.hosts.facts import facts_from_data

    found = []
    for file in files:
        try:
            facts = facts_from_data(json.loads(file.read_text())["facts"])
        except (OSError, ValueError, LookupError, TypeError) as error:
            raise InvalidInputError(
                f"{file} holds no facts: {error}", next_step="make it with `kubelab-host facts -o json`"
            ) from error
        # Each host compared its clock with its own: that tells nothing of how they stand to each other.
        found.append(replace(facts, clock_offset_seconds=None))
    return found


def _try(host: str, urls: Sequence[str]) -> list[Finding]:
    from dataclasses import replace

    from kubelab_helpers.hosts import active
    from kubelab_helpers.hosts.runner import LocalRunner

    found = [*active.check_disk(STATE), *active.check_features(LocalRunner()), *(active.reach(url) for url in urls)]
    return [replace(each, host=host) for each in found]


def _write_report(target: Path, subjects: Sequence[Subject], findings: Sequence[Finding]) -> None:
    from datetime import datetime

    from kubelab_helpers.errors import BlockedError
    from kubelab_helpers.hosts.report import render_report

    page = render_report(subjects, findings, datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"))
    try:
        target.write_text(page)
    except OSError as error:
        raise BlockedError(f"{target} cannot be written: {error.strerror}", next_step="name another file") from error


def _summary(findings: Sequence[Finding]) -> str:
    from kubelab_helpers.hosts.findings import Severity

    counts = {severity: sum(each.severity is severity for each in findings) for severity in reversed(Severity)}
    return ", ".join(f"{count} {severity.value}" for severity, count in counts.items() if count)
