"""`kubelab-host plan`, `init`, `ticket` and `join`: this host made a cluster, or one more node of one."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubelab_helpers.cli.host_options import (
    AddressOption,
    BundleOption,
    ClusterOption,
    DryRunOption,
    EndpointOption,
    IgnoreOption,
    MtuOption,
    NameOption,
    NameserverOption,
    PodCidrOption,
    PublicOption,
    ReplaceNetworkOption,
    SanOption,
    ServiceCidrOption,
    SourceOption,
    VersionOption,
)
from kubelab_helpers.cli.host_tables import print_previews, print_results
from kubelab_helpers.cli.options import NodeRole, Output, OutputOption

if TYPE_CHECKING:
    from kubelab_helpers.cluster.spec import LabSpec
    from kubelab_helpers.lab.standing import HostOptions

POD_CIDR, SERVICE_CIDR, CLUSTER = "10.244.0.0/16", "10.96.0.0/12", "kubelab"


def plan(
    name: NameOption = None,
    address: AddressOption = None,
    public_address: PublicOption = "",
    cluster: ClusterOption = CLUSTER,
    endpoint: EndpointOption = None,
    pod_cidr: PodCidrOption = POD_CIDR,
    service_cidr: ServiceCidrOption = SERVICE_CIDR,
    san: SanOption = None,
    nameserver: NameserverOption = None,
    mtu: MtuOption = None,
    replace_network: ReplaceNetworkOption = False,
    kubernetes_version: VersionOption = None,
    source: SourceOption = "auto",
    bundle: BundleOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Say what init would change on this host; nothing is written.

    Example: kubelab-host plan -o json
    """
    from kubelab_helpers.lab.preview import preview_cluster
    from kubelab_helpers.lab.standing import open_lab
    from kubelab_helpers.result import SilentReporter

    options = _options(name, address, public_address, nameserver, mtu, replace_network, source, bundle)
    options = replace(options, kubernetes_version=kubernetes_version)
    spec = _describe(options, cluster, endpoint, pod_cidr, service_cidr, san)
    print_previews(spec, preview_cluster(open_lab(spec, SilentReporter())), output)


def init(
    name: NameOption = None,
    address: AddressOption = None,
    public_address: PublicOption = "",
    cluster: ClusterOption = CLUSTER,
    endpoint: EndpointOption = None,
    pod_cidr: PodCidrOption = POD_CIDR,
    service_cidr: ServiceCidrOption = SERVICE_CIDR,
    san: SanOption = None,
    nameserver: NameserverOption = None,
    mtu: MtuOption = None,
    replace_network: ReplaceNetworkOption = False,
    kubernetes_version: VersionOption = None,
    source: SourceOption = "auto",
    bundle: BundleOption = None,
    ignore: IgnoreOption = None,
    output: OutputOption = Output.TEXT,
) -> None:
    """Make this host a cluster of its own, which others may join. Run it again at any time: it does what is missing.

    Example: kubelab-host init --nameserver 192.0.2.53
    Example: kubelab-host init --address 192.0.2.10 --bundle /media/usb/kubelab.tar
    Example: kubelab-host init --kubernetes-version 1.36.3
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.lock import hold_locks
    from kubelab_helpers.lab.stages import INIT_STAGES, run_stages
    from kubelab_helpers.lab.standing import open_lab

    options = _options(name, address, public_address, nameserver, mtu, replace_network, source, bundle)
    options = replace(options, kubernetes_version=kubernetes_version)
    spec = _describe(options, cluster, endpoint, pod_cidr, service_cidr, san, ignore)
    with render.ProgressReporter() as reporter:
        lab = open_lab(spec, reporter, ignore or ())
        with hold_locks(lab):
            results = run_stages(lab, INIT_STAGES, "init")
    print_results(lab, results, output)
    if output is Output.TEXT:
        render.print_text("export KUBECONFIG=/etc/kubernetes/admin.conf")
        render.print_text("To join another host: kubelab-host ticket | ssh HOST kubelab-host join")


def ticket(
    role: Annotated[NodeRole, typer.Option("--role", help="What the other host is to become.")] = NodeRole.WORKER,
) -> None:
    """Print a ticket, with which another host may join for 30 minutes. It is a secret: hand it on by stdin.

    Example: kubelab-host ticket | ssh worker-1 kubelab-host join
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.ticket import encode_ticket, issue_ticket
    from kubelab_helpers.hosts.runner import LocalRunner

    render.print_text(encode_ticket(issue_ticket(LocalRunner(), role.value)))


def join(
    name: NameOption = None,
    address: AddressOption = None,
    nameserver: NameserverOption = None,
    mtu: MtuOption = None,
    replace_network: ReplaceNetworkOption = False,
    source: SourceOption = "auto",
    bundle: BundleOption = None,
    ignore: IgnoreOption = None,
    dry_run: DryRunOption = False,
    output: OutputOption = Output.TEXT,
) -> None:
    """Join this host to a cluster. The ticket is read from stdin.

    Example: kubelab-host join --bundle /media/usb/kubelab.tar < ticket
    Example: kubelab-host join --dry-run < ticket
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.cluster.ticket import decode_ticket
    from kubelab_helpers.hosts.runner import LocalRunner
    from kubelab_helpers.lab.fitness import require_fit
    from kubelab_helpers.lab.lock import hold_locks
    from kubelab_helpers.lab.preview import preview_join
    from kubelab_helpers.lab.standing import describe_member, join_cluster, open_lab, probe_standing
    from kubelab_helpers.result import SilentReporter

    if sys.stdin.isatty():
        sys.stderr.write("The ticket of `kubelab-host ticket`: ")
    found = decode_ticket(sys.stdin.readline())
    runner = LocalRunner()
    facts = probe_standing(runner)
    spec = describe_member(facts, _options(name, address, "", nameserver, mtu, replace_network, source, bundle), found)
    require_fit(runner, facts, spec, ignore or ())
    if dry_run:
        print_previews(spec, preview_join(open_lab(spec, SilentReporter())), output)
        return
    with render.ProgressReporter() as reporter:
        lab = open_lab(spec, reporter)
        with hold_locks(lab):
            results = join_cluster(lab, found)
    print_results(lab, results, output)


def _options(
    name: str | None,
    address: str | None,
    public_address: str,
    nameservers: list[str] | None,
    mtu: int | None,
    replace_network: bool,
    source: str,
    bundle: Path | None,
) -> HostOptions:
    from kubelab_helpers.lab.standing import HostOptions

    return HostOptions(
        name,
        address,
        public_address,
        tuple(nameservers or ()),
        mtu,
        replace_network,
        source=source,
        bundle=bundle,
    )


def _describe(
    options: HostOptions,
    cluster: str,
    endpoint: str | None,
    pod_cidr: str,
    service_cidr: str,
    sans: list[str] | None,
    ignored: list[str] | None = None,
) -> LabSpec:
    """Read this host and return the cluster that is to begin on it; with `ignored` it must be fit for that."""
    from kubelab_helpers.hosts.runner import LocalRunner
    from kubelab_helpers.lab.fitness import require_fit
    from kubelab_helpers.lab.standing import describe_cluster, probe_standing

    runner = LocalRunner()
    facts = probe_standing(runner)
    spec = describe_cluster(
        facts,
        options,
        cluster=cluster,
        endpoint=endpoint,
        pod_cidr=pod_cidr,
        service_cidr=service_cidr,
        certificate_sans=tuple(sans or ()),
        ignored=ignored or (),
    )
    require_fit(runner, facts, spec, ignored or ())
    return spec
