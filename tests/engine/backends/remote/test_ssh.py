"""What it means, in words, that a host cannot be reached or used: with a real ssh, and a real bootstrap."""

import subprocess
from pathlib import Path

import pytest

from parexec_tui.engine.backends.remote.frames import MARKER, WANTED
from parexec_tui.engine.backends.remote.shipping import (
    NO_PROGRAM,
    NO_PYTHON,
    NO_SUCH_PYTHON,
    boot_command,
    node_program,
)
from parexec_tui.engine.backends.remote.ssh import Problem, ssh_command, why_not
from tests.engine.backends.worlds import Sshd


def try_to_reach(sshd: Sshd) -> Problem:
    command = (str(sshd.keys.bin / "ssh"), *ssh_command("host", "/nowhere")[1:])
    ran = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=30)
    return why_not(ran.returncode, ran.stderr.decode(), "me@host")


def test_why_ssh_does_not_reach_a_host(tmp_path: Path) -> None:
    sshd = Sshd(tmp_path / "keys")
    try:
        known = sshd.keys.known_hosts.read_text()
        sshd.keys.known_hosts.write_text("")
        unknown = try_to_reach(sshd)
        assert unknown.is_of_host
        assert unknown.text.startswith("its host key is not known: once, ssh me@host true (")
        sshd.keys.known_hosts.write_text(known)
        (sshd.keys.folder / "person.pub").write_text("")
        denied = try_to_reach(sshd)
        assert denied.is_of_host
        assert denied.text.startswith("it lets nobody in without a password: ssh-copy-id me@host (")
    finally:
        sshd.close()
    gone = try_to_reach(sshd)
    assert not gone.is_of_host
    assert gone.text.startswith("no ssh server answers there: systemctl start ssh (")


@pytest.mark.parametrize(
    ("code", "said", "problem"),
    [
        (
            NO_PYTHON,
            "",
            Problem("it has no python3 of 3.8 or later: install one, or say where it is by `python`", True),
        ),
        (
            NO_SUCH_PYTHON,
            "",
            Problem(
                "what `python` says is no python3 of 3.8 or later there: set it right, or leave it out",
                is_of_host=True,
            ),
        ),
        (
            NO_PROGRAM,
            "Hello\nparexec: [Errno 28] No space left on device\n",
            Problem("the node program cannot be put into its cache: [Errno 28] No space left on device", True),
        ),
        (255, "ssh: connect to host x port 22: Connection timed out", None),
        (None, "", Problem("the connection ended")),
        (1, "", Problem("the connection ended with exit code 1")),
    ],
)
def test_why_a_host_cannot_be_used(code: int | None, said: str, problem: Problem | None) -> None:
    expected = problem or Problem(f"it does not answer ({said})")
    assert why_not(code, said, "host") == expected


def boot(tmp_path: Path, sent: bytes, shell: str = "/bin/sh") -> subprocess.CompletedProcess[bytes]:
    env = {"PATH": "/usr/bin:/bin", "XDG_CACHE_HOME": str(tmp_path / "cache"), "HOME": str(tmp_path)}
    return subprocess.run(
        (shell, "-c", boot_command(str(tmp_path / "spool's"))),
        input=sent,
        env=env,
        capture_output=True,
        check=False,
        timeout=30,
    )


def test_the_node_program_is_shipped_once_and_again_if_it_was_damaged(tmp_path: Path) -> None:
    text, digest, _ = node_program()
    first = boot(tmp_path, text)
    assert first.stdout == WANTED + MARKER, first.stderr
    cached = tmp_path / "cache" / "parexec" / f"node_{digest}.py"
    assert cached.read_bytes() == text
    assert boot(tmp_path, b"").stdout == MARKER
    cached.write_bytes(text[:-1])
    assert boot(tmp_path, text).stdout == WANTED + MARKER
    assert cached.read_bytes() == text


def test_a_node_program_that_arrives_damaged_is_not_run(tmp_path: Path) -> None:
    text = node_program().text
    ran = boot(tmp_path, text[:-1] + b"?")
    assert (ran.returncode, ran.stdout) == (NO_PROGRAM, WANTED)
    assert "arrived damaged" in ran.stderr.decode()
    assert not list((tmp_path / "cache").rglob("*.py"))


def test_a_host_without_room_says_so(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("in the way")
    ran = boot(tmp_path, node_program().text)
    problem = why_not(ran.returncode, ran.stderr.decode(), "host")
    assert problem.is_of_host
    assert "Not a directory" in problem.text
