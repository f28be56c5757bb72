"""How this machine asks its registry: over which scheme, whose certificate it takes, and as whom.

https://distribution.github.io/distribution/spec/api/
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from kubelab_helpers.cluster.registry_secrets import AUTHORITY, PASSWORD, USER, Login
from kubelab_helpers.errors import BlockedError, KubelabError

if TYPE_CHECKING:
    import requests

PORT = 5000
OWN_HOST = f"localhost:{PORT}"
"""What every reference names; this machine may reach the same registry by another port."""
TIMEOUT_SECONDS = 60
HERE = "go on in the folder of the kubelab.yaml whose registry this is"
REFUSALS = ("unauthorized", "authentication required", "no basic auth credentials")
"""What an engine says, by its version, of a registry that does not take the password."""


@dataclass(frozen=True)
class RegistryAccess:
    """The registry of this machine, at 127.0.0.1:`machine_port`.

    `folder`: where the lab keeps its certificate authority, with `tls`, and the password of `login`.
    """

    machine_port: int = PORT
    tls: bool = False
    login: Login | None = None
    folder: Path = Path()

    @property
    def address(self) -> str:
        """The registry's URL."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.machine_port}"

    @property
    def engine_login(self) -> dict[str, str] | None:
        """What the engine is given with a request; it goes in a header, and is not kept."""
        return {"username": USER, "password": self.login.password} if self.login else None

    def name_on_machine(self, reference: str) -> str:
        """Return a reference as this machine's engine finds it.

        The engine takes any certificate, or plain HTTP, from a registry in 127.0.0.0/8, as it counts them among its
        insecure ones (`docker info`). What kubelab asks itself is held to the lab's authority.
        """
        host, _, rest = reference.partition("/")
        return f"localhost:{self.machine_port}/{rest}" if host == OWN_HOST else reference

    def curl(self, path: str, *options: str) -> str:
        """Return the command that asks the same by hand; curl itself asks for the password."""
        trust = ["--cacert", str(self.folder / AUTHORITY)] if self.tls else []
        user = ["--user", USER] if self.login else []
        return shlex.join(["curl", "-f", *options, *trust, *user, f"{self.address}{path}"])

    def refusal(self) -> KubelabError:
        """Return the error for a registry that does not take the password."""
        has = f"the password in {self.folder / PASSWORD}" if self.login else "a request without a password"
        return KubelabError(
            f"the registry at {self.address} does not accept {has}",
            next_step=f"{HERE}: `kubelab up` there gives registry and nodes the password of that folder anew",
        )


class RegistryClient:
    """Requests to this machine's registry, for the time of a `with` block."""

    def __init__(self, access: RegistryAccess) -> None:
        self.access = access

    def __enter__(self) -> Self:
        """Begin; nothing is asked yet. BlockedError without the authority's certificate."""
        import requests
        from requests.auth import HTTPBasicAuth

        authority = self.access.folder / AUTHORITY
        if self.access.tls and not authority.is_file():
            raise BlockedError(
                f"the registry at {self.access.address} has TLS, and {authority}, which signed its certificate, is "
                "not here",
                next_step=HERE,
            )
        self._http = requests.Session()
        self._http.trust_env = False  # no proxy stands between this machine and itself
        if self.access.tls:
            self._http.verify = str(authority)
        if self.access.login:
            # requests takes text for Latin-1, and bcrypt was given UTF-8.
            self._http.auth = HTTPBasicAuth(USER.encode(), self.access.login.password.encode())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the connection go."""
        self._http.close()

    def ask(
        self,
        method: str,
        path: str,
        accept: str = "*/*",
        *,
        stream: bool = False,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> requests.Response:
        """Return the answer, of whatever status but 401; `path` begins with `/v2/`.

        BlockedError when nothing answers there; KubelabError when what answers has a certificate of another authority,
        or does not take the password.
        """
        import requests

        access = self.access
        try:
            answer = self._http.request(
                method,
                f"{access.address}{path}",
                headers={"Accept": accept},
                timeout=timeout_seconds,
                stream=stream,
            )
        except requests.RequestException as error:
            # Any other error of TLS is that nobody answers: the engine listens before the registry in it does.
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                raise KubelabError(
                    f"what answers at {access.address} is not this lab's registry: its certificate is not one of the "
                    f"authority in {access.folder / AUTHORITY}",
                    next_step=HERE,
                ) from error
            raise BlockedError(
                f"no registry answers at {access.address}: {error}",
                next_step="`kubelab registry up` starts this machine's",
            ) from error
        if answer.status_code == requests.codes.unauthorized:
            raise access.refusal()
        return answer


def is_refusal(said: str) -> bool:
    """Return whether an engine's words mean that a registry does not take the password."""
    return any(word in said for word in REFUSALS)
