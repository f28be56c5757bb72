"""Commands over OpenSSH: quoted, carried whole, as root, over one connection; and what becomes of it when it breaks.

A stand-in for `ssh` runs the remote command on this machine. tests/hosts runs the real one.
"""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import pytest

from kubelab_helpers.errors import BlockedError, ExitStatus, KubelabError
from kubelab_helpers.hosts import ssh
from kubelab_helpers.hosts.command import Command, CommandError
from kubelab_helpers.hosts.ssh import ConnectionLostError, SshRunner
from kubelab_helpers.hosts.ssh_access import SshAccess, explain_failure, proxy_options, ssh_options

TOKEN = "abcdef.0123456789abcdef"
ACCESS = SshAccess("192.0.2.10", user="anna", port=2222)
SSH = """#!/bin/sh
printf '%s\\n' "$*" >> "$FAKE/calls"
previous='' socket='' ask='' master=no
for word in "$@"; do
    case $previous in -S) socket=$word ;; -O) ask=$word ;; esac
    [ "$word" = ControlMaster=yes ] && master=yes
    previous=$word
done
if [ -n "$ask" ]; then
    [ -e "$socket" ] || exit 255
    [ "$ask" = check ] || rm -f "$socket"
    exit 0
fi
if [ $master = yes ]; then
    if [ -e "$FAKE/refusal" ]; then cat "$FAKE/refusal" >&2; exit 255; fi
    : > "$socket"
    cat "$FAKE/uid"
    [ ! -e "$FAKE/password" ] || { echo 'sudo: a password is required' >&2; exit 1; }
    exit 0
fi
[ -e "$socket" ] || exit 255
if [ -e "$FAKE/breaks" ]; then
    rm -f "$FAKE/breaks" "$socket"
    echo 'Connection to 192.0.2.10 closed by remote host.' >&2
    exit 255
fi
exec sh -c "$previous"
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder that steers the stand-in: `uid`, `refusal`, `breaks`, `password`; it logs to `calls`."""
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, script in (("ssh", SSH), ("sudo", '#!/bin/sh\nshift 2\nAS_ROOT=yes exec "$@"\n')):
        (programs / name).write_text(script)
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=":")
    monkeypatch.setenv("FAKE", str(tmp_path))
    monkeypatch.setattr(ssh, "_folder", lambda: tmp_path)
    monkeypatch.setattr(ssh, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(ssh, "CONNECT_TIMEOUT_SECONDS", 0.2)
    (tmp_path / "uid").write_text("0\n")
    return tmp_path


def calls(fake: Path) -> list[str]:
    return (fake / "calls").read_text().splitlines()


def opened(fake: Path) -> int:
    return sum("ControlMaster=yes" in call for call in calls(fake))


def test_output_status_and_binary_input(fake: Path) -> None:
    content = bytes(range(256)) * 1000
    done = SshRunner("host", ACCESS).run(Command(("sh", "-c", "cat; echo err >&2; exit 3"), stdin=content))
    assert (done.status, done.stdout, done.error_text) == (3, content, "err\n")


@pytest.mark.parametrize(
    "word", ["a b", "it's", '"$HOME"', "$(id)", "`id`", "a;b", "*", "", "-n", "~root", "new\nline", "\\", "ü"]
)
def test_words_arrive_as_they_are(fake: Path, word: str) -> None:
    """Two shells lie between: the one that ssh starts, and none of them may look into a word."""
    done = SshRunner("host", ACCESS).check(Command(("printf", "%s|", word, "end")))
    assert done.text == f"{word}|end|"


def test_environment_folder_and_search_path(fake: Path) -> None:
    """Sudo and sshd have search paths of their own, of which not all have /usr/local."""
    command = Command(("sh", "-c", 'printf "%s %s %s" "$A" "$(pwd)" "$PATH"'), env=(("A", "b c"),), cwd="/usr")
    assert SshRunner("host", ACCESS).check(command).text == f"b c /usr {ssh.SEARCH_PATH}"


def test_one_connection_serves_all_commands(fake: Path) -> None:
    runner = SshRunner("host", ACCESS)
    for _ in range(3):
        runner.check(Command(("true",)))
    assert opened(fake) == 1


@pytest.mark.parametrize(("uid", "as_root"), [("0", ""), ("1000", "yes")])
def test_sudo_is_used_where_the_user_is_not_root(fake: Path, uid: str, as_root: str) -> None:
    (fake / "uid").write_text(f"{uid}\n")
    assert SshRunner("host", ACCESS).check(Command(("sh", "-c", "echo $AS_ROOT"))).text.strip() == as_root


def test_sudo_that_asks_for_a_password_is_refused(fake: Path) -> None:
    (fake / "uid").write_text("1000\n")
    (fake / "password").touch()
    with pytest.raises(BlockedError, match="host: anna is not root, and sudo asks for a password") as caught:
        SshRunner("host", ACCESS).run(Command(("true",)))
    assert "anna ALL=(ALL) NOPASSWD: ALL" in caught.value.next_step


def test_a_commands_own_status_255_is_its_own(fake: Path) -> None:
    assert SshRunner("host", ACCESS).run(Command(("sh", "-c", "exit 255"))).status == 255
    assert opened(fake) == 1


def test_a_failure_names_the_host_and_the_command_not_ssh(fake: Path) -> None:
    with pytest.raises(CommandError, match=r"on host, `kubeadm reset` ended with status 127"):
        SshRunner("host", ACCESS).check(Command(("kubeadm", "reset")))


def test_a_broken_connection_is_made_anew_and_the_command_sent_again(fake: Path) -> None:
    runner = SshRunner("host", ACCESS)
    runner.check(Command(("true",)))
    (fake / "breaks").touch()
    assert runner.check(Command(("cat",), stdin=b"input")).text == "input"
    assert opened(fake) == 2


def test_a_command_that_must_not_be_sent_again_is_not(fake: Path) -> None:
    """Such as kubeadm join: what it left must be cleared first, which the next run does."""
    runner = SshRunner("host", ACCESS)
    runner.check(Command(("true",)))
    (fake / "breaks").touch()
    with pytest.raises(ConnectionLostError, match="the SSH connection to host was lost") as caught:
        runner.check(Command(("touch", str(fake / "made")), once=True))
    assert caught.value.exit_status is ExitStatus.PARTLY_DONE
    assert "run the same command again" in caught.value.next_step
    assert not (fake / "made").exists()


def test_a_command_that_must_not_be_sent_again_gets_a_sound_connection(fake: Path) -> None:
    """A connection that broke unnoticed since the last command is no reason to give up."""
    runner = SshRunner("host", ACCESS)
    runner.check(Command(("true",)))
    next(each for each in fake.iterdir() if stat.S_ISREG(each.stat().st_mode) and len(each.name) == 12).unlink()
    runner.check(Command(("touch", str(fake / "made")), once=True))
    assert (fake / "made").exists()


def test_a_connection_that_does_not_come_back_is_resumable(fake: Path) -> None:
    runner = SshRunner("host", ACCESS)
    runner.check(Command(("true",)))
    (fake / "breaks").touch()
    (fake / "refusal").write_text("ssh: connect to host 192.0.2.10 port 2222: Connection refused\n")
    with pytest.raises(ConnectionLostError, match="Connection refused"):
        runner.check(Command(("true",)))


def test_a_host_that_was_never_reached_is_a_failure(fake: Path) -> None:
    (fake / "refusal").write_text("ssh: connect to host 192.0.2.10 port 2222: Connection timed out\n")
    with pytest.raises(KubelabError, match=r"host \(192\.0\.2\.10, port 2222\) cannot be reached") as caught:
        SshRunner("host", ACCESS).check(Command(("true",)))
    assert caught.value.exit_status is ExitStatus.FAILED
    assert opened(fake) > 1


def test_a_silent_host_is_not_waited_for_twice(fake: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (fake / "refusal").write_text("ssh: connect to host 192.0.2.10 port 2222: No route to host\n")
    runner = SshRunner("host", ACCESS)
    for _ in range(2):
        with pytest.raises(KubelabError, match="No route to host"):
            runner.check(Command(("true",)))
    tried = opened(fake)
    with pytest.raises(KubelabError, match="No route to host"):
        runner.check(Command(("true",)))
    assert opened(fake) == tried
    monkeypatch.setattr(ssh, "SILENT_SECONDS", 0.0)
    later = SshRunner("host", ACCESS)
    with pytest.raises(KubelabError, match="No route to host"):
        later.check(Command(("true",)))
    (fake / "refusal").unlink()
    later.check(Command(("true",)))


UNKNOWN = "No ED25519 host key is known for 192.0.2.10 and you have requested strict checking.\n"
CHANGED = "@@@\n@ WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED! @\nHost key verification failed.\n"


@pytest.mark.parametrize(
    ("said", "what", "next_step"),
    [
        (UNKNOWN + "Host key verification failed.\n", "nobody has seen yet", "acceptNewHostKey: true"),
        (UNKNOWN, "nobody has seen yet", "-p 2222 -l anna 192.0.2.10`"),
        (CHANGED, "shows another host key", "`ssh-keygen -R '[192.0.2.10]:2222' -f known`"),
        ("anna@192.0.2.10: Permission denied (publickey).\n", "does not let anna in", "ssh.identityFile"),
    ],
)
def test_a_refusal_says_what_to_do_and_is_not_tried_again(fake: Path, said: str, what: str, next_step: str) -> None:
    (fake / "refusal").write_text(said)
    with pytest.raises(BlockedError, match=what) as caught:
        SshRunner("host", replace(ACCESS, known_hosts=Path("known"))).check(Command(("true",)))
    assert next_step in caught.value.next_step
    assert opened(fake) == 1


def test_a_changed_key_is_never_told_as_an_unknown_one() -> None:
    said = CHANGED + UNKNOWN
    assert "another machine may have taken its place" in explain_failure("host", ACCESS, said).what


@pytest.mark.parametrize(("accept", "checking"), [(False, "yes"), (True, "accept-new")])
def test_host_keys_are_checked(accept: bool, checking: str) -> None:
    options = ssh_options(replace(ACCESS, accept_new_host_key=accept))
    assert f"StrictHostKeyChecking={checking}" in options
    assert "BatchMode=yes" in options


def test_jump_hosts_get_the_same_key_and_known_hosts() -> None:
    """What `ssh -J` would not give them."""
    access = replace(
        ACCESS, jump="gate:2200,bob@inner", identity_file=Path("/keys/id"), known_hosts=Path("/keys/known")
    )
    _, option = proxy_options(access)
    assert option.startswith("ProxyCommand=ssh ")
    assert option.endswith("-l bob -W '[%h]:%p' inner")
    assert option.count("-i /keys/id") == 2
    assert option.count("UserKnownHostsFile=") == 2
    assert "-p 2200 -W '\"'\"'[%%h]:%%p'\"'\"' gate" in option


def test_no_jump_host_no_proxy() -> None:
    assert proxy_options(ACCESS) == ()


def test_secrets_are_on_no_argv(fake: Path) -> None:
    SshRunner("host", ACCESS).check(Command(("cat",), stdin=f"token: {TOKEN}".encode(), secrets=(TOKEN,)))
    assert TOKEN not in (fake / "calls").read_text()
