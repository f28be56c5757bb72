"""A host over OpenSSH: one connection a host, kept open, over which every command goes.

The OpenSSH client does the work, so that the operator's own `~/.ssh/config` and agent count. The host needs an SSH
server and POSIX sh. https://man.openbsd.org/ssh_config
"""

from __future__ import annotations

import atexit
import hashlib
import os
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import IO

from kubelab_helpers.errors import BlockedError, KubelabError, PartlyDoneError
from kubelab_helpers.hosts.command import Command, Completed
from kubelab_helpers.hosts.runner import require_success, run_process
from kubelab_helpers.hosts.ssh_access import (
    CONNECT_TIMEOUT_SECONDS,
    SSH_FAILED,
    SshAccess,
    explain_failure,
    is_transient,
    login_options,
    proxy_options,
    ssh_options,
)

OPEN_TIMEOUT_SECONDS = 60
RETRY_SECONDS = 1.0
"""A server that refuses for a moment (MaxStartups, a restart) is asked again within CONNECT_TIMEOUT_SECONDS."""
SILENT_SECONDS = 30.0
"""A host that was not reached is not tried again for so long: who asks several hosts must not wait for it each time."""
# sshd's and sudo's search paths differ between distributions; kubelab's programs are in /usr/local.
SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_ASK_RIGHTS = 'id -u; [ "$(id -u)" = 0 ] || sudo -n true'


class ConnectionLostError(PartlyDoneError):
    """The connection broke, and could not be made anew; whether the last command came to its end is not known."""

    def __init__(self, name: str, said: str) -> None:
        super().__init__(
            f"the SSH connection to {name} was lost\n{said}".rstrip(),
            next_step="run the same command again: what is done is recorded on the host, and it goes on from there",
        )


class SshRunner:
    """Runs on a host over OpenSSH, as root: with `sudo -n` where the user is another."""

    def __init__(self, name: str, access: SshAccess) -> None:
        self.name = name
        self.access = access
        self._sudo = False
        self._reached = False
        self._silent: tuple[float, KubelabError] | None = None
        self._connecting = threading.Lock()

    def run(self, command: Command) -> Completed:
        """Run a command to its end. A broken connection is made anew, and the command sent again if it may be."""
        self._connect(verify=command.once)
        completed = self._run_once(command)
        if not self._is_lost(completed):
            return completed
        if not command.once:
            self._connect()
            completed = self._run_once(command)
        if self._is_lost(completed):
            raise ConnectionLostError(self.name, completed.error_text)
        return completed

    def check(self, command: Command) -> Completed:
        """Run a command and require status 0."""
        return require_success(self.run(command), self.name)

    def wrap(self, command: Command) -> Command:
        """Return the command of this machine that runs `command` on the host, over the connection that is there."""
        self._connect()
        return self._wrap(command)

    def close(self) -> None:
        """End the connection."""
        subprocess.run(self._control("exit"), check=False, capture_output=True, timeout=CONNECT_TIMEOUT_SECONDS)

    def _run_once(self, command: Command) -> Completed:
        return run_process(self._wrap(command), command, self.name, own_session=True)

    def _wrap(self, command: Command) -> Command:
        # Were the connection gone, ssh would quietly make one of its own; `false` in its way makes it fail instead.
        argv = (*self._base(), "-o", "ControlMaster=no", "-o", "ProxyCommand=false", self.access.host)
        return replace(command, argv=(*argv, self._remote(command)), env=(), cwd=None)

    def _remote(self, command: Command) -> str:
        """Return the command as one line for the login shell of the user there."""
        environment = (f"PATH={SEARCH_PATH}", *(f"{key}={value}" for key, value in command.env))
        inner = shlex.join((*(("sudo", "-n", "--") if self._sudo else ()), "env", *environment, *command.argv))
        if command.cwd is None:
            return f"exec {inner}"
        return f"cd {shlex.quote(command.cwd)} && exec {inner}"

    def _is_lost(self, completed: Completed) -> bool:
        return completed.status == SSH_FAILED and not self._is_connected()

    def _is_connected(self) -> bool:
        asked = subprocess.run(
            self._control("check"), check=False, capture_output=True, timeout=CONNECT_TIMEOUT_SECONDS
        )
        return asked.returncode == 0

    def _connect(self, *, verify: bool = True) -> None:
        """Open the connection if it is not open (a socket is not looked behind without `verify`)."""
        with self._connecting:
            if self._socket.exists() and (not verify or self._is_connected()):
                return
            if self._silent and time.monotonic() < self._silent[0]:
                raise self._silent[1]
            self._socket.unlink(missing_ok=True)  # of a connection that was killed
            deadline = time.monotonic() + CONNECT_TIMEOUT_SECONDS
            status, output, said = self._open()
            while is_transient(status, said) and time.monotonic() < deadline:
                time.sleep(RETRY_SECONDS)
                status, output, said = self._open()
            if status == SSH_FAILED:
                raise self._remember(self._explain(said))
            self._sudo = output.split()[:1] != ["0"]
            if status != 0:
                raise self._no_rights(said)
            self._reached = True

    def _explain(self, said: str) -> KubelabError:
        reason = explain_failure(self.name, self.access, said)
        if isinstance(reason, BlockedError) or not self._reached:
            return reason
        return ConnectionLostError(self.name, reason.what)

    def _remember(self, reason: KubelabError) -> KubelabError:
        if not isinstance(reason, BlockedError):
            self._silent = (time.monotonic() + SILENT_SECONDS, reason)
        return reason

    def _open(self) -> tuple[int, str, str]:
        # The connection stays behind this first command, and would keep a pipe open: what it says goes to a file.
        argv = [*self._base(), "-o", "ControlMaster=yes", "-o", "ControlPersist=60", *proxy_options(self.access)]
        with tempfile.TemporaryFile() as said, tempfile.TemporaryFile() as output:
            argv += [self.access.host, _ASK_RIGHTS]
            return _wait(argv, output, said), _read(output), _read(said)

    def _no_rights(self, said: str) -> BlockedError:
        user = self.access.user or "the user"
        line = f"{self.access.user or 'NAME'} ALL=(ALL) NOPASSWD: ALL"
        return BlockedError(
            f"{self.name}: {user} is not root, and sudo asks for a password or is not there\n{said.strip()}".rstrip(),
            next_step=f"on the host, as root: echo '{line}' > /etc/sudoers.d/kubelab; or let root in over SSH",
        )

    @property
    def _socket(self) -> Path:
        return _folder() / hashlib.sha256(repr((self.name, self.access)).encode()).hexdigest()[:12]

    def _control(self, what: str) -> list[str]:
        return ["ssh", "-S", str(self._socket), "-O", what, self.access.host]

    def _base(self) -> tuple[str, ...]:
        return (
            "ssh",
            "-T",
            "-S",
            str(self._socket),
            *ssh_options(self.access),
            *login_options(self.access.user, self.access.port),
        )


def _wait(argv: list[str], output: IO[bytes], said: IO[bytes]) -> int:
    try:
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=output, stderr=said, start_new_session=True)
    except FileNotFoundError as error:
        raise BlockedError(
            "there is no program ssh on this machine", next_step="install OpenSSH's client (openssh-client)"
        ) from error
    try:
        return process.wait(OPEN_TIMEOUT_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


def _read(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode(errors="replace")


@cache
def _folder() -> Path:
    """Return this process's folder for sockets, mode 0700: a socket's path has room for about 100 characters."""
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108 — mkdtemp makes a folder of its own there
    short = base if len(str(base)) <= 40 and os.access(base, os.W_OK) else Path("/tmp")  # noqa: S108
    folder = Path(tempfile.mkdtemp(prefix="kubelab-ssh-", dir=short))
    atexit.register(_close_all, folder)
    return folder


def _close_all(folder: Path) -> None:
    for socket in folder.iterdir():
        subprocess.run(["ssh", "-S", str(socket), "-O", "exit", "host"], check=False, capture_output=True, timeout=10)
    shutil.rmtree(folder, ignore_errors=True)
