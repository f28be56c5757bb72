"""HTTPS at the hub: who is believed, where HTTP leads, and a new certificate that cuts nobody off. `make e2e-tls`."""

from __future__ import annotations

import socket
import ssl
import time
from subprocess import PIPE, Popen

import pytest
import requests

from .hub import HubSession
from .kernel import open_kernel
from .lab import ROOT, Lab, kubelab_argv, read_answer, read_lab, run_kubelab
from .watch import keep_asking

pytestmark = pytest.mark.skipif(
    not read_lab().address.startswith("https"), reason="the hub is reached by HTTP: `make e2e-tls` has one by HTTPS"
)
ROTATION_SECONDS = 420


def test_the_ca_that_people_are_given_signs_what_is_served(lab: Lab) -> None:
    """By the address and by the name; without that CA the hub is not believed."""
    for host in ("127.0.0.1", "localhost"):
        address = f"https://{host}:{lab.spec.ports.https}/hub/health"
        assert requests.get(address, timeout=10, verify=str(lab.authority)).ok
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(address, timeout=10, verify="/etc/ssl/certs/ca-certificates.crt")


def test_http_leads_to_https(lab: Lab) -> None:
    """With path and question kept, in one step; and whoever has no HTTPS yet gets the CA."""
    plain = f"http://127.0.0.1:{lab.spec.ports.http}"
    answer = requests.get(f"{plain}/hub/login?next=%2Fhub%2F", allow_redirects=False, timeout=10)
    assert answer.status_code == 308
    assert answer.headers["Location"] == f"{lab.address}/hub/login?next=%2Fhub%2F"
    served = requests.get(f"{plain}/.well-known/kubelab/ca.crt", timeout=10)
    assert served.content == lab.authority.read_bytes()


def test_cookies_are_for_https_alone(lab: Lab) -> None:
    """The hub knows by what it is reached: a cookie that HTTP could carry could be read on the way."""
    answer = requests.get(f"{lab.address}/hub/login", timeout=10)
    assert answer.cookies
    assert all(each.secure for each in answer.cookies)


def test_an_old_protocol_is_refused(lab: Lab) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection(("127.0.0.1", lab.spec.ports.https), timeout=10) as connection,
        pytest.raises(ssl.SSLError),
    ):
        context.wrap_socket(connection)


def test_a_new_certificate_cuts_nobody_off(lab: Lab, ada: HubSession) -> None:
    """A kernel's WebSocket is used all the while, the hub is asked five times a second, and the serial is another."""
    before = read_answer(run_kubelab("tls", "status", "-o", "json"))
    assert before["well"]
    argv = kubelab_argv("tls", "rotate", "-o", "json")
    cells = 0
    with (
        open_kernel(ada) as kernel,
        keep_asking(lambda: requests.get(f"{lab.address}/hub/health", timeout=5)) as watch,
        Popen(argv, cwd=ROOT, stdout=PIPE, stderr=PIPE, text=True) as rotating,
    ):
        deadline = time.monotonic() + ROTATION_SECONDS
        while rotating.poll() is None:
            assert time.monotonic() < deadline
            # The same channel each time, and the same kernel behind it.
            cells += 1
            code = "cells = cells + 1 if 'cells' in globals() else 1; print(cells)"
            assert kernel.run(code).stdout == f"{cells}\n"
            time.sleep(1)
        assert rotating.returncode == 0, rotating.communicate()[1]
    assert cells > 3
    after = read_answer(run_kubelab("tls", "status", "-o", "json"))
    assert after["well"]
    assert after["served"]["serial"] != before["served"]["serial"]
    gap = watch.longest_gap_seconds
    print(f"{len(watch.answered)} answers, {cells} cells; the longest wait for an answer: {gap:.2f} s")
    assert watch.failures == []
    assert gap < 2
    # Who trusted the CA before need not do anything.
    assert requests.get(f"{lab.address}/hub/health", timeout=10, verify=str(lab.authority)).ok
