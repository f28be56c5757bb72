"""`kubelab tls`: the certificate by which the hub is reached."""

from __future__ import annotations

import sys

import typer

from kubelab_helpers.cli.options import FOLDER, FileOption, Output, OutputOption

tls_app = typer.Typer(help="The hub's certificate.", no_args_is_help=True)
RENEW_DAYS = 14
"""A certificate with fewer days is a finding: the release's own is made anew 30 days before its end."""


@tls_app.command()
def status(file: FileOption = None, output: OutputOption = Output.TEXT) -> None:
    """Show the certificate that the cluster holds and the one that is served. Exit status 1 when one is not well.

    Example: kubelab tls status
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab
    from kubelab_helpers.lab.encryption import read_tls
    from kubelab_helpers.result import SilentReporter

    lab = Lab(describe_lab(file), FOLDER, SilentReporter())
    held, served = read_tls(lab)
    well = held.certificate.serial == served.serial and served.days_left >= RENEW_DAYS
    if output is Output.JSON:
        found = {"secret": held.secret, "held": held.certificate.as_data(), "served": served.as_data(), "well": well}
        render.print_json({**found, "authority_file": str(lab.authority_file) if held.authority else None})
    else:
        rows = [
            [name, each.serial[:16], str(each.days_left), ", ".join(each.hosts)]
            for name, each in ((held.secret, held.certificate), ("served", served))
        ]
        render.print_table(("", "serial", "days left", "hosts"), rows)
        if held.authority:
            render.print_text(f"CA for browsers: {lab.authority_file}")
    if not well:
        sys.exit(1)


@tls_app.command()
def rotate(file: FileOption = None, output: OutputOption = Output.TEXT) -> None:
    """Have the release's own certificate made anew, and wait until it is served. Who is connected stays so.

    Example: kubelab tls rotate
    """
    from kubelab_helpers.cli import render
    from kubelab_helpers.lab.context import Lab
    from kubelab_helpers.lab.description import describe_lab
    from kubelab_helpers.lab.encryption import rotate_certificate

    with render.ProgressReporter() as reporter:
        made = rotate_certificate(Lab(describe_lab(file), FOLDER, reporter))
    if output is Output.JSON:
        render.print_json({"certificate": made.as_data()})
    else:
        render.print_text(f"serial {made.serial}, {made.days_left} days, for {', '.join(made.hosts)}")
