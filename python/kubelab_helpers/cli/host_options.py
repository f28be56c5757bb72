"""The options by which a host is described to `kubelab-host`, said once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

NameOption = Annotated[str | None, typer.Option("--name", help="The node's name; by default the host's.")]
AddressOption = Annotated[
    str | None,
    typer.Option("--address", help="The node's IPv4 address; else that of the default route's device."),
]
PublicOption = Annotated[str, typer.Option("--public-address", help="Another address, for the API's certificate.")]
NameserverOption = Annotated[
    list[str] | None, typer.Option("--nameserver", help="A name server that pods may ask; by default the host's own.")
]
MtuOption = Annotated[int | None, typer.Option("--mtu", min=1280, max=9216, help="MTU between the hosts, in bytes.")]
ReplaceNetworkOption = Annotated[
    bool, typer.Option("--replace-network", help="Set another pod network's files aside; a rollback puts them back.")
]
VersionOption = Annotated[
    str | None, typer.Option("--kubernetes-version", help="Another Kubernetes than the newest that runs here.")
]
SourceOption = Annotated[str, typer.Option("--source", help="Where third-party parts come from.")]
BundleOption = Annotated[Path | None, typer.Option("--bundle", help="A bundle with the parts: a folder or a tar.")]
IgnoreOption = Annotated[
    list[str] | None, typer.Option("--ignore", help="A finding of `check`, by its id, to be passed over.")
]
ClusterOption = Annotated[str, typer.Option("--cluster", help="The cluster's name.")]
EndpointOption = Annotated[
    str | None, typer.Option("--endpoint", help="The control plane's DNS name; by default one in /etc/hosts.")
]
PodCidrOption = Annotated[str, typer.Option("--pod-cidr", help="Addresses of pods.")]
ServiceCidrOption = Annotated[str, typer.Option("--service-cidr", help="Addresses of Services.")]
SanOption = Annotated[list[str] | None, typer.Option("--san", help="One more name or address of the API.")]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be changed; nothing is written.")]
