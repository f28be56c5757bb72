"""A check as one HTML page that stands alone: a picture of the hosts, and every finding with its remedy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubelab_helpers import resources
from kubelab_helpers.hosts.findings import Finding, Severity, Subject, worst

BOX_WIDTH, BOX_HEIGHT, GAP, COLUMNS = 240, 96, 24, 4


@dataclass(frozen=True)
class Box:
    """One host in the picture: where its box is, in pixels, and what stands in it."""

    x: int
    y: int
    subject: Subject
    severity: Severity


def render_report(subjects: Sequence[Subject], findings: Sequence[Finding], made_at: str) -> str:
    """Return the page; everything that a host said of itself is escaped."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(resources.path("host-setup/templates/report"))
    environment = Environment(loader=loader, undefined=StrictUndefined, autoescape=True, trim_blocks=True)
    boxes = lay_out(subjects, findings)
    columns = min(COLUMNS, len(subjects)) or 1
    rows = -(-len(subjects) // COLUMNS) or 1
    heavy = list(reversed(Severity))
    return environment.get_template("check.html").render(
        boxes=boxes,
        findings=sorted(findings, key=lambda each: (heavy.index(each.severity), each.host, each.id)),
        worst=worst(findings),
        counts={severity: sum(each.severity is severity for each in findings) for severity in heavy},
        width=columns * (BOX_WIDTH + GAP) + GAP,
        height=rows * (BOX_HEIGHT + 2 * GAP) + GAP,
        box=(BOX_WIDTH, BOX_HEIGHT),
        gap=GAP,
        made_at=made_at,
    )


def lay_out(subjects: Sequence[Subject], findings: Sequence[Finding]) -> list[Box]:
    """Return a box for each host, in rows."""
    return [
        Box(
            x=GAP + position % COLUMNS * (BOX_WIDTH + GAP),
            y=2 * GAP + position // COLUMNS * (BOX_HEIGHT + 2 * GAP),
            subject=subject,
            severity=worst(each for each in findings if each.host == subject.name),
        )
        for position, subject in enumerate(subjects)
    ]
