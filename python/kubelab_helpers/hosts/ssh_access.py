"""How a host is reached over OpenSSH: the client's options, the way through jump hosts, and what its refusals mean.

https://man.openbsd.org/ssh_config
"""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from pathlib import Path

from kubelab_helpers.errors import BlockedError, KubelabError

CONNECT_TIMEOUT_SECONDS = 10
SSH_FAILED = 255
"""ssh's own exit status when the connection fails; a remote command may end with it too."""
SSH_PORT = 22


@dataclass(frozen=True)
class SshAccess:
    """How a host is reached. `host`: its name or address for SSH; `jump`: `[user@]host[:port]`, several by commas.

    The identity file and the known_hosts file count for the jump hosts too.
    """

    host: str
    user: str | None = None
    port: int | None = None
    identity_file: Path | None = None
    jump: str | None = None
    known_hosts: Path | None = None
    accept_new_host_key: bool = False


def ssh_options(access: SshAccess) -> tuple[str, ...]:
    """Return the options that a host and its jump hosts have in common; nothing ever asks a question."""
    given = {
        "BatchMode": "yes",
        "ConnectTimeout": str(CONNECT_TIMEOUT_SECONDS),
        "ServerAliveInterval": "5",
        "ServerAliveCountMax": "3",
        "StrictHostKeyChecking": "accept-new" if access.accept_new_host_key else "yes",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "LogLevel": "ERROR",
    }
    if access.known_hosts:
        # Quoted, because ssh reads several files from one value.
        given["UserKnownHostsFile"] = f'"{access.known_hosts}"'
    if access.identity_file:
        given["IdentitiesOnly"] = "yes"
    options = [each for key, value in given.items() for each in ("-o", f"{key}={value}")]
    return (*options, *(("-i", str(access.identity_file)) if access.identity_file else ()))


def login_options(user: str | None, port: str | int | None) -> tuple[str, ...]:
    """Return the options that name the user and the port, as far as they are given."""
    return (*(("-p", str(port)) if port else ()), *(("-l", user) if user else ()))


def proxy_options(access: SshAccess) -> tuple[str, ...]:
    """Return the option that leads through the jump hosts.

    ssh's own -J gives neither identity file nor known_hosts to the jump hosts, so this writes out what it stands for.
    """
    proxy = ""
    for jump in access.jump.split(",") if access.jump else ():
        user, _, place = jump.rpartition("@")
        host, _, port = place.partition(":")
        through = ("-o", f"ProxyCommand={proxy.replace('%', '%%')}") if proxy else ()
        argv = ("ssh", *ssh_options(access), *through, *login_options(user, port), "-W", "[%h]:%p", host)
        proxy = shlex.join(argv)
    return ("-o", f"ProxyCommand={proxy}") if proxy else ()


def explain_failure(name: str, access: SshAccess, said: str) -> KubelabError:
    """Return what ssh's last words mean, and what to do about it."""
    place = f"{name} ({access.host}{f', port {access.port}' if access.port else ''})"
    tail = "\n".join(line for line in said.strip().splitlines() if not line.startswith("@"))
    known = access.known_hosts or Path("~/.ssh/known_hosts")
    if "IDENTIFICATION HAS CHANGED" in said:
        entry = access.host if access.port in (None, SSH_PORT) else f"[{access.host}]:{access.port}"
        return BlockedError(
            f"{place} shows another host key than the one in {known}: another machine may have taken its place\n{tail}",
            next_step="ask whoever runs the host; if its key was changed on purpose, remove the old one with "
            f"`ssh-keygen -R {shlex.quote(entry)} -f {shlex.quote(str(known))}`",
        )
    if "host key is known for" in said or "Host key verification failed" in said:
        hand = shlex.join(
            ("ssh", "-o", f"UserKnownHostsFile={known}", *login_options(access.user, access.port), access.host)
        )
        return BlockedError(
            f"{place} has a host key that nobody has seen yet\n{tail}",
            next_step=f"connect once by hand and compare the fingerprint: `{hand}`; "
            "or take what it shows, with `acceptNewHostKey: true` under `ssh` in kubelab.yaml",
        )
    if "Permission denied" in said or "Too many authentication failures" in said:
        return BlockedError(
            f"{place} does not let {access.user or 'you'} in\n{tail}",
            next_step="give `ssh.user` and `ssh.identityFile` in kubelab.yaml, or load the key with `ssh-add`",
        )
    return KubelabError(
        f"{place} cannot be reached over SSH\n{tail}".rstrip(),
        next_step="see that it is up and lets SSH through, then run the same command again",
    )


def is_transient(status: int, said: str) -> bool:
    """Return whether a failed connection is worth another attempt: the server may be starting, or busy."""
    lasting = (
        "verification failed",
        "host key is known for",
        "Permission denied",
        "Could not resolve",
        "authentication failures",
        "Bad ",
    )
    return status == SSH_FAILED and not any(text in said for text in lasting)
