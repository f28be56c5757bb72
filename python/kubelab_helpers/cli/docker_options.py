"""The options of `kubelab-host docker plan` and `install`, which are the same, said once."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast, get_type_hints

import typer

from kubelab_helpers.errors import InvalidInputError

if TYPE_CHECKING:
    from kubelab_helpers.hosts.docker_source import Origin
    from kubelab_helpers.hosts.spec import LocalProgram

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")

FromOption = Annotated[
    str, typer.Option("--from", help="auto, distribution or docker-ce; auto: Docker CE where its repository answers.")
]
VersionOption = Annotated[
    str, typer.Option("--version", help="The engine's package version, exactly; else the newest.")
]
ReplaceOption = Annotated[
    bool, typer.Option("--replace", help="Replace a Docker that is there; its settings are kept in an archive first.")
]
ConfigureOption = Annotated[
    bool, typer.Option("--configure", help="Merge kubelab's settings into the Docker that is there.")
]
ChangeOption = Annotated[
    list[str] | None,
    typer.Option("--change", help="A key of daemon.json whose other value kubelab may change; may be repeated."),
]
UserOption = Annotated[
    list[str] | None, typer.Option("--user", help="A user for the group docker, which is as good as root's rights.")
]
PluginsOption = Annotated[bool, typer.Option("--plugins/--no-plugins", help="Compose (and buildx) too.")]
HoldOption = Annotated[bool, typer.Option("--hold/--no-hold", help="Hold the versions against upgrades.")]
ComposeOption = Annotated[
    Path | None, typer.Option("--compose-program", help="Compose's release program, for want of a package.")
]
ComposeHashOption = Annotated[str, typer.Option("--compose-sha256", help="The SHA-256 that it must have.")]
ProxyOption = Annotated[bool, typer.Option("--proxy", help="Give the daemon this shell's proxy variables.")]
RepositoryOption = Annotated[str, typer.Option("--repository", help="A mirror of Docker CE's repository.")]
KeyOption = Annotated[str, typer.Option("--repository-key", help="The mirror's public key: a URL or a file.")]
FingerprintOption = Annotated[
    str, typer.Option("--repository-fingerprint", help="The key's fingerprint, when it is not Docker's own key.")
]


def takes_wishes(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `_read_wishes`, whose answer it gets as its first argument."""
    asked = inspect.signature(_read_wishes, eval_str=True).parameters
    own = list(inspect.signature(command).parameters.values())[1:]
    hints = {name: each.annotation for name, each in asked.items()}
    # DockerSpec is imported for type checkers alone, so that `--help` stays quick.
    typed = get_type_hints(command, localns={"DockerSpec": object}, include_extras=True)
    hints |= {each.name: typed[each.name] for each in own}

    def run(**given: Any) -> None:
        wanted = _read_wishes(**{name: given.pop(name) for name in asked})
        command(wanted, **given)

    run.__name__, run.__doc__, run.__annotations__ = command.__name__, command.__doc__, hints
    parameters = [each.replace(annotation=hints[each.name], kind=each.KEYWORD_ONLY) for each in (*asked.values(), *own)]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # PEP 362: read by inspect, known to no stub
    return run


def _read_wishes(
    origin: FromOption = "auto",
    version: VersionOption = "",
    replace: ReplaceOption = False,
    configure: ConfigureOption = False,
    change: ChangeOption = None,
    user: UserOption = None,
    plugins: PluginsOption = True,
    hold: HoldOption = True,
    compose_program: ComposeOption = None,
    compose_sha256: ComposeHashOption = "",
    proxy: ProxyOption = False,
    repository: RepositoryOption = "",
    repository_key: KeyOption = "",
    repository_fingerprint: FingerprintOption = "",
) -> Any:
    from kubelab_helpers.hosts.docker_source import RepositoryChoice
    from kubelab_helpers.hosts.steps.docker import DockerSpec

    return DockerSpec(
        origin=cast("Origin", origin),
        version=version,
        replace=replace,
        configure=configure,
        change=frozenset(change or ()),
        users=tuple(user or ()),
        plugins=plugins,
        hold=hold,
        compose=_read_program(compose_program, compose_sha256) if compose_program else None,
        proxies=_shell_proxies() if proxy else {},
        repository=RepositoryChoice(repository, repository_key, repository_fingerprint),
    )


def _read_program(path: Path, sha256: str) -> LocalProgram:
    import hashlib

    from kubelab_helpers.hosts.spec import LocalProgram

    if not path.is_file():
        raise InvalidInputError(f"there is no file {path}")
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != sha256.lower():
        raise InvalidInputError(
            f"{path} has the SHA-256 {found}, not {sha256 or 'one that was given'}",
            next_step="give the hash that the project publishes beside it with --compose-sha256",
        )
    return LocalProgram(path.resolve(), found)


def _shell_proxies() -> dict[str, str]:
    values = {name: os.environ.get(name) or os.environ.get(name.lower()) or "" for name in PROXY_VARIABLES}
    found = {name: value for name, value in values.items() if value}
    if not found:
        raise InvalidInputError("--proxy: this shell has none of HTTP_PROXY, HTTPS_PROXY, NO_PROXY")
    return found
