"""Programs that run side by side on this machine, followed line by line, and ended all at once."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from threading import Event, Lock, Timer

from kubelab_helpers.errors import KubelabError
from kubelab_helpers.hosts.command import Command, CommandTimeoutError, Completed

GRACE_SECONDS = 5.0
"""How long a program has to clear up once it is told to end."""


class Children:
    """Runs commands from several threads. Each is a process group of its own, so that what it started ends with it.

    For the same reason a Ctrl-C in the terminal reaches none of them: whoever catches it calls `end`.
    """

    def __init__(self) -> None:
        self._lock = Lock()
        self._running: set[subprocess.Popen[bytes]] = set()
        self._ended = False

    def run(self, command: Command, on_line: Callable[[str], None]) -> Completed:
        """Run a command without input to its end and hand on each line as it comes, both streams as one.

        CommandTimeoutError past its deadline; KubelabError once `end` was called.
        """
        process = self._start(command)
        lines: list[bytes] = []
        late = Event()

        def end_late() -> None:
            late.set()
            _end_group(process)

        deadline = Timer(command.timeout_seconds, end_late)
        deadline.start()
        try:
            assert process.stdout is not None
            with process.stdout:
                for line in process.stdout:
                    lines.append(line)
                    on_line(command.redact(line.decode(errors="replace").rstrip("\r\n")))
            status = process.wait()
        finally:
            deadline.cancel()
            if process.poll() is None:  # `on_line` failed
                _end_group(process)
            with self._lock:
                self._running.discard(process)
        if self._ended:
            raise _ended_error(command)
        if late.is_set():
            raise CommandTimeoutError(command, "localhost")
        return Completed(command, status, b"".join(lines), b"")

    def end(self) -> None:
        """End every program that runs, and let none begin any more."""
        with self._lock:
            self._ended = True
            running = list(self._running)
        for process in running:
            _signal_group(process, signal.SIGTERM)
        for process in running:
            _end_group(process)

    def _start(self, command: Command) -> subprocess.Popen[bytes]:
        with self._lock:
            if self._ended:
                raise _ended_error(command)
            try:
                process = subprocess.Popen(
                    command.argv,
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **dict(command.env)},
                    cwd=command.cwd,
                    process_group=0,
                )
            except FileNotFoundError as error:
                raise KubelabError(f"there is no program {command.argv[0]}", repeat=str(command)) from error
            self._running.add(process)
        return process


def _ended_error(command: Command) -> KubelabError:
    shown = command.redact(str(command))
    return KubelabError(f"`{shown}` was ended before its time", repeat=shown)


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End a program and what it started: with time to clear up, then for good."""
    _signal_group(process, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        process.wait(GRACE_SECONDS)
    _signal_group(process, signal.SIGKILL)
    process.wait()


def _signal_group(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, number)
