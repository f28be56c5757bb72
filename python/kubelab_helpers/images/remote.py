"""What a registry has under a name: the image's configuration, read without pulling the image.

https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pull
https://distribution.github.io/distribution/spec/auth/token/
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kubelab_helpers.artifacts.upstream import session as trusting_session
from kubelab_helpers.errors import BlockedError
from kubelab_helpers.images.access import OWN_HOST, RegistryAccess, RegistryClient
from kubelab_helpers.images.content import MANIFESTS

if TYPE_CHECKING:
    from docker import DockerClient
    from requests import Response, Session

ACCEPT = ", ".join(MANIFESTS)
TIMEOUT_SECONDS = 30
# https://docs.docker.com/reference/cli/docker/image/tag/: the name's host is not where its API is.
API_HOSTS = {"docker.io": "registry-1.docker.io"}
LOGIN_NAMES = {"docker.io": "https://index.docker.io/v1/"}


@dataclass(frozen=True)
class StoredConfiguration:
    """An image in a registry: `image_id` is its configuration's digest, which is the image's id in an engine too.

    None for an index of images for several platforms.
    """

    image_id: str | None
    labels: dict[str, str]


def read_configuration(
    engine: DockerClient, reference: str, digest: str, *, access: RegistryAccess
) -> StoredConfiguration:
    """Return the configuration of the image with that manifest; BlockedError when the registry does not show it.

    `access` says how this machine's registry is asked; of others, this machine's logins (`docker login`) apply, and
    what the engine says of registries without TLS.
    """
    import requests

    host, _, rest = reference.partition("/")
    repository = rest.rpartition(":")[0]
    try:
        if host == OWN_HOST:
            with RegistryClient(access) as client:
                return _read(lambda path: client.ask("GET", path, ACCEPT), repository, digest)
        address = _address(engine, host)
        with trusting_session() as http:
            return _read(lambda path: _ask(http, f"{address}{path}", host), repository, digest)
    except (requests.RequestException, ValueError, KeyError) as error:
        raise BlockedError(
            f"{reference} exists, and what it is could not be read: {error}",
            next_step=f"docker login {host}; or --force, which replaces it unseen",
        ) from error


def _read(ask: Callable[[str], Response], repository: str, digest: str) -> StoredConfiguration:
    def answer(path: str) -> Any:
        got = ask(f"/v2/{repository}/{path}")
        got.raise_for_status()
        return got.json()

    manifest = answer(f"manifests/{digest}")
    if "config" not in manifest:
        return StoredConfiguration(None, {})
    found = manifest["config"]["digest"]
    config = answer(f"blobs/{found}")
    return StoredConfiguration(found, dict(config.get("config", {}).get("Labels") or {}))


def _address(engine: DockerClient, host: str) -> str:
    known = (engine.info().get("RegistryConfig") or {}).get("IndexConfigs") or {}
    # Docker's own rule: https://docs.docker.com/reference/cli/dockerd/#insecure-registries
    is_local = host.partition(":")[0] in {"localhost", "127.0.0.1"}
    scheme = "http" if is_local or not known.get(host, {}).get("Secure", True) else "https"
    return f"{scheme}://{API_HOSTS.get(host, host)}"


def _ask(http: Session, url: str, host: str) -> Response:
    """Return the answer, after a login if the registry wants one."""
    headers = {"Accept": ACCEPT}
    answer = http.get(url, headers=headers, timeout=TIMEOUT_SECONDS)
    if answer.status_code == 401:
        _log_in(http, answer.headers.get("WWW-Authenticate", ""), host)
        answer = http.get(url, headers=headers, timeout=TIMEOUT_SECONDS)
    return answer


def _log_in(http: Session, challenge: str, host: str) -> None:
    """Give the session what the registry asked for: this machine's login as it is, or a token got with it."""
    from requests.utils import parse_dict_header

    scheme, _, told = challenge.partition(" ")
    login = _login(host)
    if scheme.lower() != "bearer":
        http.auth = login
        return
    asked: dict[str, str] = parse_dict_header(told)  # type: ignore[no-untyped-call]  # types-requests has no types for it
    wanted = {name: asked[name] for name in ("service", "scope") if name in asked}
    answer = http.get(asked["realm"], params=wanted, auth=login, timeout=TIMEOUT_SECONDS)
    answer.raise_for_status()
    token = answer.json()
    http.headers["Authorization"] = f"Bearer {token.get('token') or token['access_token']}"


def _login(host: str) -> tuple[str, str] | None:
    """Return name and password of this machine's docker login for a registry, from its file or credential helper."""
    from docker import auth

    found = auth.load_config().resolve_authconfig(LOGIN_NAMES.get(host, host)) or {}
    name, password = (found.get(key) or found.get(key.capitalize()) for key in ("username", "password"))
    return (name, password) if name and password else None
