"""The source `upstream`: the projects' own releases, each checked against the SHA-256 that its project publishes."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kubelab_helpers.artifacts.build import ChecksumError
from kubelab_helpers.artifacts.cache import READ_BYTES, sha256_of
from kubelab_helpers.artifacts.catalog import Artifact
from kubelab_helpers.errors import KubelabError

if TYPE_CHECKING:
    import requests

CONNECT_SECONDS, READ_SECONDS = 5, 60
REACH_SECONDS = 3


def session() -> requests.Session:
    """Return the HTTP session of all downloads: it retries what a busy server answers, with growing pauses.

    It trusts what REQUESTS_CA_BUNDLE or the system says, so that a company's own CA works.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.util import Retry

    made = requests.Session()
    retry = Retry(total=4, backoff_factor=0.5, status_forcelist=(429, 500, 502, 503, 504))
    made.mount("https://", HTTPAdapter(max_retries=retry))
    return made


def is_reachable(url: str) -> bool:
    """Return whether the host of a URL answers at all, asked once and briefly."""
    import requests

    try:
        return requests.head(url, timeout=REACH_SECONDS, allow_redirects=True).ok
    except requests.RequestException:
        return False


def produce(artifact: Artifact, target: Path, http: requests.Session | None = None) -> None:
    """Download one artifact and verify it; ChecksumError names it if a second download is wrong too."""
    recipe: dict[str, Any] = artifact.recipe["upstream"]
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
                f"{artifact.name} {artifact.version}: {recipe['url']} has not the SHA-256 that {recipe['checksum']} says, twice",
                next_step="something between here and the project changes the file; do not use it",
            )
        _place(artifact, recipe, file, target)


def _published_sha256(http: requests.Session, checksum: str, name: str) -> str:
    """Return the checksum, given as such, or as the URL of a file with it alone or in lines of `<sha256>  <file>`."""
    if not checksum.startswith("https://"):
        return checksum
    text = _get(http, checksum).text
    for line in text.splitlines():
        found = re.match(r"^([0-9a-f]{64})(?:\s+\*?(\S+))?\s*$", line)
        if found and found.group(2) in (None, name, f"./{name}"):
            return found.group(1)
    raise ChecksumError(f"{checksum} says nothing of {name}", next_step="correct the entry in host-setup/artifacts.yaml")


def _get(http: requests.Session, url: str, stream: bool = False) -> requests.Response:
    import requests

    try:
        answer = http.get(url, timeout=(CONNECT_SECONDS, READ_SECONDS), stream=stream)
        answer.raise_for_status()
    except requests.RequestException as error:
        raise KubelabError(
            f"{url} could not be fetched: {error}",
            repeat=f"curl --fail --location --remote-name {url}",
            next_step="behind a firewall use --source modules, or a bundle made elsewhere",
        ) from error
    return answer


def _download(http: requests.Session, url: str, file: Path) -> None:
    with _get(http, url, stream=True) as answer, file.open("wb") as target:
        for block in answer.iter_content(READ_BYTES):
            target.write(block)


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
            raise KubelabError(f"{archive.name} holds no {member}", next_step="correct `member` in host-setup/artifacts.yaml")
        with target.open("wb") as file:
            while block := content.read(READ_BYTES):
                file.write(block)
    target.chmod(0o755)
