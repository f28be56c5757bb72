"""The source `upstream`: the projects' own releases, each checked against the SHA-256 that its project publishes."""

from __future__ import annotations

import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, cast

from kubelab_helpers.artifacts.build import ChecksumError
from kubelab_helpers.artifacts.cache import READ_BYTES, require_space, sha256_of
from kubelab_helpers.artifacts.catalog import Artifact
from kubelab_helpers.errors import KubelabError

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS, READ_SECONDS = 5, 60
REACH_SECONDS = 3
# The first two are requests' own, which puts them before what a session says.
CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "PIP_CERT")
SYSTEM_STORES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


def session() -> requests.Session:
    """Return the HTTP session of all downloads: it retries what a busy server answers, with growing pauses.

    It trusts what the machine trusts, so that a company's own CA works.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    made = requests.Session()
    retry = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
    made.mount("https://", HTTPAdapter(max_retries=retry))
    made.verify = trusted_authorities() or True
    return made


def trusted_authorities() -> str | None:
    """Return the PEM file or folder of the authorities that this machine trusts; None leaves it to requests' own."""
    named = (os.environ.get(name) for name in CA_VARIABLES)
    return next((path for path in (*named, *SYSTEM_STORES) if path and Path(path).exists()), None)


def is_reachable(url: str) -> bool:
    """Return whether the host of a URL answers at all, asked once and briefly."""
    import requests

    try:
        verify = trusted_authorities() or True
        return requests.head(url, timeout=REACH_SECONDS, allow_redirects=True, verify=verify).ok
    except OSError:  # requests' errors are OSErrors, and so is that of a CA file that is not there
        return False


def produce(artifact: Artifact, target: Path, http: requests.Session | None = None) -> None:
    """Download one artifact and verify it; ChecksumError names it if a second download is wrong too."""
    recipe: dict[str, Any] = artifact.recipe["upstream"]
    if "image" in recipe:
        export_image(recipe["image"], target, f"linux/{artifact.architecture}" if artifact.is_foreign else None)
        return
    http = http or session()
    with TemporaryDirectory(dir=target.parent) as scratch:
        file = Path(scratch) / recipe["url"].rpartition("/")[2]
        wanted = _published_sha256(http, recipe["checksum"], file.name)
        for _ in range(2):
            _download(http, recipe["url"], file)
            if sha256_of(file) == wanted:
                break
        else:
            raise ChecksumError(
                f"{artifact.name} {artifact.version}: {recipe['url']} has not the SHA-256 "
                f"that {recipe['checksum']} says, twice",
                next_step="something between here and the project changes the file; do not use it",
            )
        _place(artifact, recipe, file, target)


def export_image(reference: str, target: Path, platform: str | None = None) -> None:
    """Pull an image, whose layers the engine verifies by digest, and write its root file system as a tar.

    The engine keeps the image only if it had it before; one that it had for another platform keeps its name.
    """
    import docker
    from docker.errors import DockerException

    try:
        engine = docker.from_env(timeout=600)
        before = next((image for image in engine.images.list() if reference in image.tags), None)
        repository, tag = reference.rsplit(":", 1)
        pulled = engine.images.pull(repository, tag=tag, platform=platform)
        container = engine.containers.create(pulled, command=["true"], platform=platform)
        try:
            stream = cast("Iterator[bytes]", container.export())
            with target.open("wb") as file:
                file.writelines(stream)
        finally:
            container.remove()
            if before is None or platform:
                engine.images.remove(reference)
            if before is not None and platform:
                before.tag(repository, tag)
    except DockerException as error:
        raise KubelabError(
            f"the image {reference} could not be pulled: {error}",
            repeat=f"docker pull {reference}",
            next_step="behind a firewall use --source debian, or a bundle made elsewhere",
        ) from error


def _published_sha256(http: requests.Session, checksum: str, name: str) -> str:
    """Return the checksum, given as such, or by the URL of a file with it alone or in lines `<sha256>  <file>`."""
    if not checksum.startswith("https://"):
        return checksum
    text = _get(http, checksum).text
    for line in text.splitlines():
        found = re.match(r"^([0-9a-f]{64})(?:\s+\*?(\S+))?\s*$", line)
        if found and found.group(2) in (None, name, f"./{name}"):
            return found.group(1)
    raise ChecksumError(
        f"{checksum} says nothing of {name}", next_step="correct the entry in host-setup/artifacts.yaml"
    )


def _get(http: requests.Session, url: str) -> requests.Response:
    with _explained(url):
        answer = http.get(url, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=True)
        answer.raise_for_status()
        return answer


def _download(http: requests.Session, url: str, file: Path) -> None:
    with _get(http, url) as answer, file.open("wb") as target:
        require_space(file.parent, int(answer.headers.get("Content-Length", 0)))
        with _explained(url):
            for block in answer.iter_content(READ_BYTES):
                target.write(block)


@contextmanager
def _explained(url: str) -> Iterator[None]:
    """Tell what the network refuses, at the start or halfway, with the command that shows it again."""
    import requests

    try:
        yield
    except requests.RequestException as error:
        raise KubelabError(
            f"{url} could not be fetched: {error}",
            repeat=f"curl --fail --location --remote-name {url}",
            next_step="behind a firewall use --source modules, or a bundle made elsewhere",
        ) from error


def _place(artifact: Artifact, recipe: dict[str, Any], file: Path, target: Path) -> None:
    members = artifact.recipe.get("members")
    if members:
        target.mkdir()
        for member in members:
            _extract(file, recipe["member"].format(member=member), target / member)
    elif "member" in recipe:
        _extract(file, recipe["member"], target)
    else:
        file.replace(target)
        target.chmod(0o755)


def _extract(archive: Path, member: str, target: Path) -> None:
    with tarfile.open(archive) as tar:
        wanted = member.removeprefix("./")
        entry = next((each for each in tar if each.name.removeprefix("./") == wanted and each.isfile()), None)
        content = tar.extractfile(entry) if entry else None
        if content is None:
            raise KubelabError(
                f"{archive.name} holds no {member}", next_step="correct `member` in host-setup/artifacts.yaml"
            )
        with target.open("wb") as file:
            while block := content.read(READ_BYTES):
                file.write(block)
    target.chmod(0o755)
