"""Who carries a command to a host: this machine itself, a container node's engine, or (hosts.ssh) OpenSSH."""

from __future__ import annotations

import os
import subprocess
from typing import Protocol

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.command import Command, CommandError, CommandTimeoutError, Completed


class Runner(Protocol):
    """One host's hands."""

    name: str

    def run(self, command: Command) -> Completed:
        """Run a command to its end, whatever its status; CommandTimeoutError past its deadline."""

    def check(self, command: Command) -> Completed:
        """Run a command and require status 0, else CommandError."""


class LocalRunner:
    """Runs on this machine, with the caller's environment plus `command.env`."""

    def __init__(self, name: str = "localhost") -> None:
        self.name = name

    def run(self, command: Command) -> Completed:
        """Run a command to its end."""
        return run_process(command, command, self.name)

    def check(self, command: Command) -> Completed:
        """Run a command and require status 0."""
        return require_success(self.run(command), self.name)


class ContainerRunner:
    """Runs in a container node with `docker exec`, which carries stdin and the exit status faithfully."""

    def __init__(self, container: str) -> None:
        self.name = container

    def run(self, command: Command) -> Completed:
        """Run a command to its end."""
        flags = [f"--env={key}={value}" for key, value in command.env]
        flags += [f"--workdir={command.cwd}"] if command.cwd else []
        argv = ("docker", "exec", "--interactive", *flags, self.name, *command.argv)
        outer = Command(argv, command.stdin, command.stdin_path, command.secrets, command.timeout_seconds)
        return run_process(outer, command, self.name)

    def check(self, command: Command) -> Completed:
        """Run a command and require status 0."""
        return require_success(self.run(command), self.name)


class RememberingRunner:
    """Asks a host each question once: for a preview, during which nothing on it changes."""

    def __init__(self, runner: Runner) -> None:
        self.name = runner.name
        self._runner = runner
        self._answers: dict[Command, Completed] = {}

    def run(self, command: Command) -> Completed:
        """Return the answer of the first time, or ask."""
        if command not in self._answers:
            self._answers[command] = self._runner.run(command)
        return self._answers[command]

    def check(self, command: Command) -> Completed:
        """Do the same and require status 0."""
        return require_success(self.run(command), self.name)


def run_process(actual: Command, asked: Command, where: str, *, own_session: bool = False) -> Completed:
    """Run `actual` on this machine to its end, as what carries `asked` to `where`.

    With `own_session` a Ctrl-C in the terminal does not reach it: what it has begun elsewhere comes to its end.
    """
    source = actual.stdin_path.open("rb") if actual.stdin_path else None
    try:
        process = subprocess.run(
            actual.argv,
            input=None if source else actual.stdin or b"",
            stdin=source,
            capture_output=True,
            timeout=actual.timeout_seconds,
            env={**os.environ, **dict(actual.env)},
            cwd=actual.cwd,
            check=False,
            start_new_session=own_session,
        )
    except subprocess.TimeoutExpired as error:
        raise CommandTimeoutError(asked, where) from error
    except FileNotFoundError as error:
        raise KubelabError(f"on {where} there is no program {actual.argv[0]}", repeat=str(asked)) from error
    finally:
        if source:
            source.close()
    return Completed(asked, process.returncode, process.stdout, process.stderr)


def require_success(completed: Completed, where: str) -> Completed:
    """Return `completed`; CommandError if its status is not 0."""
    if completed.status != 0:
        raise CommandError(completed, where)
    return completed
