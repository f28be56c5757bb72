"""What is measured, each a function that returns its figures. Seconds and MiB throughout."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import requests
import yaml

from kubelab_helpers.artifacts.source import IMAGE_PREFIX
from kubelab_helpers.cluster.spec import LabSpec
from kubelab_helpers.hosts.command import Command
from kubelab_helpers.hosts.runner import ContainerRunner
from kubelab_helpers.images.catalog import load_catalog
from tests.bench.figures import Figures, summarize
from tests.bench.hosts import measure_hosts, measure_plans
from tests.bench.images import measure_images, measure_images_cold
from tests.e2e.hub import HubSession

KUBELAB = Path(sys.executable).parent / "kubelab"
SPAWNS = 20
FLOOR_STARTS = 10
FLOOR_PORT = 18888
UP_TIMEOUT_SECONDS = 3600
CONTROL_PLANE_STAGES = ("control plane", "network", "workers", "ready")


def measure_help() -> Figures:
    """`kubelab --help`, ten times."""
    return summarize([_seconds([str(KUBELAB), "--help"]) for _ in range(10)])


def measure_up_again() -> Figures:
    """`kubelab up` with nothing to do, three times."""
    return summarize([_up()["seconds"] for _ in range(3)])


def measure_up_cached() -> Figures:
    """`kubelab down`, then `kubelab up` with every part and image in the cache, by stage."""
    down = _seconds([str(KUBELAB), "down", "--yes"])
    return {"down_seconds": down, **_up()}


def measure_up_cold() -> Figures:
    """`kubelab up` with no cache of kubelab's, Go's or the engine's images: everything is built from modules."""
    subprocess.run([KUBELAB, "clean", "--yes"], check=True, capture_output=True, timeout=600)
    subprocess.run(["docker", "builder", "prune", "--all", "--force"], check=True, capture_output=True, timeout=600)
    with tempfile.TemporaryDirectory(dir=Path.cwd() / ".kubelab") as scratch:
        try:
            return _up({"GOCACHE": f"{scratch}/build", "GOMODCACHE": f"{scratch}/modules"})
        finally:
            # Go keeps its module cache read-only.
            subprocess.run(["chmod", "-R", "u+w", scratch], check=True, timeout=120)


def measure_spawn() -> Figures:
    """From the click on the spawn page to the server's own page, for new users (a new volume) and again."""
    spec = LabSpec()
    address = f"http://127.0.0.1:{spec.ports.http}"
    admin = HubSession(address)
    admin.log_in("admin", Path(".kubelab/admin-password").read_text().strip())
    first, later = [], []
    for number in range(SPAWNS):
        name, password = f"bench-{uuid4().hex[:6]}", uuid4().hex
        person = HubSession(address)
        person.sign_up(name, password)
        admin.authorize(name)
        person.log_in(name, password)
        python = ("3.11", "3.13")[number % 2]
        try:
            first.append(person.start_server(python))
            person.stop_server()
            later.append(person.start_server(python))
            person.stop_server()
        finally:
            admin.call("DELETE", f"/hub/api/users/{name}")
    return {"first": summarize(first), "later": summarize(later), "floor": measure_floor(spec)}


def measure_floor(spec: LabSpec) -> Figures:
    """The same notebook image started by `ctr run` on the worker, to its first HTTP answer: no hub, no Kubernetes."""
    worker = spec.workers[0].name
    node = ContainerRunner(f"{spec.name}-{worker}")
    digests = json.loads(Path(".kubelab/digests.json").read_text())
    repository = load_catalog().images["notebook-py3.13"].reference(IMAGE_PREFIX).rpartition(":")[0]
    image = f"{repository}@{digests['notebook-py3.13']}"
    url = f"http://{spec.address_of(worker)}:{FLOOR_PORT}/api"
    return summarize([_start_directly(node, image, url, f"floor-{number}") for number in range(FLOOR_STARTS)])


def measure_memory() -> Figures:
    """Resident memory of hub and proxy, idle: every process of their pods."""
    spec = LabSpec()
    found: dict[str, float] = {}
    for host in spec.hosts:
        listed = ContainerRunner(f"{spec.name}-{host.name}").check(Command(("ps", "-eo", "rss=,args="))).text
        for line in listed.splitlines():
            rss, _, arguments = line.strip().partition(" ")
            if "ps -eo" in arguments:
                continue
            for part, mark in (("hub", "/opt/hub/bin/"), ("proxy", "configurable-http-proxy")):
                if mark in arguments:
                    found[part] = found.get(part, 0.0) + int(rss) / 1024
    return {**{f"{part}_mib": round(mib, 1) for part, mib in found.items()}, "total_mib": round(sum(found.values()), 1)}


MEASUREMENTS = {
    "help": measure_help,
    "up-again": measure_up_again,
    "up-cached": measure_up_cached,
    "memory": measure_memory,
    "spawn": measure_spawn,
    "up-cold": measure_up_cold,
    "hosts": measure_hosts,
    "plans": measure_plans,
    "images": measure_images,
    "images-cold": measure_images_cold,
}
DEFAULT = ("up-cached", "help", "up-again", "memory", "spawn", "hosts", "plans")


def describe_machine() -> Figures:
    """Return what the figures were measured on; nothing that names the machine."""
    memory = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemTotal"))
    model = next(line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name"))
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=True).stdout
    release = dict(line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines() if "=" in line)
    return {
        "cpus": os.cpu_count(),
        "cpu": model.partition(":")[2].strip(),
        "memory_mib": int(memory.split()[1]) // 1024,
        "kernel": os.uname().release.partition("-")[0],
        "system": yaml.safe_load(release["PRETTY_NAME"]),
        "commit": commit.strip(),
        "load": round(os.getloadavg()[0], 2),
    }


def _up(environment: Mapping[str, str] | None = None) -> Figures:
    began = time.monotonic()
    done = subprocess.run(
        [KUBELAB, "up", "--output", "json"],
        check=True,
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
        timeout=UP_TIMEOUT_SECONDS,
    )
    seconds = time.monotonic() - began
    stages = {each["name"]: each["seconds"] for each in json.loads(done.stdout)["stages"]}
    ready = sum(stages[name] for name in CONTROL_PLANE_STAGES)
    return {"seconds": round(seconds, 1), "control_plane_to_dns_seconds": round(ready, 1), "stages": stages}


def _seconds(argv: Sequence[str]) -> float:
    began = time.monotonic()
    subprocess.run(argv, check=True, capture_output=True, timeout=300)
    return time.monotonic() - began


def _start_directly(node: ContainerRunner, image: str, url: str, name: str) -> float:
    ctr = ("ctr", "--namespace=k8s.io")
    server = ("jupyter-lab", "--ip=0.0.0.0", f"--port={FLOOR_PORT}", "--no-browser", "--IdentityProvider.token=")
    run = (*ctr, "run", "--detach", "--net-host", "--user=1000:100", "--env=HOME=/tmp", image, name, *server)
    began = time.monotonic()
    node.check(Command(run, timeout_seconds=60))
    try:
        with requests.Session() as http:
            http.trust_env = False
            while time.monotonic() - began < 60:
                with suppress(requests.RequestException):
                    if http.get(url, timeout=2).ok:
                        return time.monotonic() - began
                time.sleep(0.02)
        raise TimeoutError(f"{url} did not answer within 60 s")
    finally:
        node.run(Command((*ctr, "task", "kill", "--signal=9", name), timeout_seconds=30))
        node.run(Command((*ctr, "task", "delete", name), timeout_seconds=30))
        node.run(Command((*ctr, "container", "delete", name), timeout_seconds=30))
