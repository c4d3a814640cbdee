"""The system's ssh as the way to a host, with the person's own settings for it; and what its errors mean."""

import re
from typing import NamedTuple

from parexec_tui.engine.backends.remote.shipping import NO_PROGRAM, NO_PYTHON, NO_SUCH_PYTHON, boot_command
from parexec_tui.paths import try_host

TRY_TARGET = "parexec-try"
"""The host that `parexec hosts --try` sets up; ssh finds it by settings of its own."""

_OPTIONS = (
    "-T",
    *("-o", "BatchMode=yes"),
    *("-o", "ServerAliveInterval=5"),
    *("-o", "ServerAliveCountMax=3"),
    *("-o", "ConnectTimeout=10"),
    *("-o", "ControlMaster=no"),
    *("-o", "ControlPath=none"),
)


class Problem(NamedTuple):
    """Why there is no node program to speak to."""

    text: str
    """For people, with the command that mends it where there is one."""
    is_of_host: bool = False
    """Whether the host was reached, and cannot be used as it is."""


def ssh_command(target: str, spool: str, python: str = "", options: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The command of a channel to a host.

    `target`: as ssh takes it, `user@host` or a name of `~/.ssh/config`. `options`: go before ours, so they win.
    """
    return over_ssh(target, boot_command(spool, python), options)


def over_ssh(target: str, command: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    """A command that runs another one there, by the login shell of the user. The rest as in `ssh_command`."""
    if target == TRY_TARGET:
        options = ("-F", str(try_host() / "config"), *options)
    return ("ssh", *options, *_OPTIONS, "--", target, command)


_OF_SSH = (
    (
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        True,
        "its host key has changed: if you know why, ssh-keygen -R {host}",
    ),
    (r"Host key verification failed|host key is known", True, "its host key is not known: once, ssh {target} true"),
    (r"Permission denied", True, "it lets nobody in without a password: ssh-copy-id {target}"),
    (r"Could not resolve hostname", False, "there is no host of this name: see ~/.ssh/config"),
    (r"Connection refused", False, "no ssh server answers there: systemctl start ssh"),
    (r"No route to host|Network is unreachable", False, "there is no way to it in the network"),
    (r"timed out", False, "it does not answer"),
    (r"Bad configuration option|no argument after keyword", True, "your ~/.ssh/config has a mistake"),
)


def why_not(code: int | None, said: str, target: str) -> Problem:
    """What it means that the command of a channel ended with this exit code, and said this on standard error."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")
    if code == NO_PYTHON:
        return Problem("it has no python3 of 3.8 or later: install one, or say where it is by `python`", True)
    if code == NO_SUCH_PYTHON:
        return Problem("what `python` says is no python3 of 3.8 or later there: set it right, or leave it out", True)
    if code == NO_PROGRAM:
        why = last.removeprefix("parexec: ") or "the connection ended meanwhile"
        return Problem(f"the node program cannot be put into its cache: {why}", True)
    if code == 127:
        return Problem(last or "it has no /bin/sh", True)
    if code == 255:
        if target == TRY_TARGET and re.search(r"Can't open user config file|Connection refused", said):
            return Problem("it is not set up: parexec hosts --try")
        for pattern, is_of_host, text in _OF_SSH:
            if re.search(pattern, said):
                told = text.format(target=target, host=target.rpartition("@")[2])
                return Problem(f"{told} ({last[:200]})" if last else told, is_of_host)
    if last:
        return Problem(last[:300], is_of_host=code not in (None, 255))
    return Problem("the connection ended" if code is None else f"the connection ended with exit code {code}")
