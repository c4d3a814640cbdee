"""A Ray cluster as the way to node programs: the command of a channel to it, and what its errors mean."""

import os
from functools import lru_cache
from pathlib import Path

from parexec_tui.core.plan.hosts import RaySpec
from parexec_tui.engine.backends.remote import ssh
from parexec_tui.engine.backends.remote.ray_bridge import UNREACHABLE, UNUSABLE
from parexec_tui.engine.backends.remote.shipping import NO_PYTHON, NO_SUCH_PYTHON, Program, boot_command, program_of
from parexec_tui.engine.backends.remote.ssh import Problem, over_ssh

_PASSED_ON = ("RAY_USE_TLS", "RAY_TLS_SERVER_CERT", "RAY_TLS_SERVER_KEY", "RAY_TLS_CA_CERT")
"""Variables that say how Ray encrypts what it says; the paths are those of the machine where the bridge runs."""


@lru_cache(1)
def bridge_program() -> Program:
    """The bridge of this version, with its node program in it."""
    folder = Path(__file__).parent
    node = (folder / "node.py").read_bytes()
    text = (folder / "ray_bridge.py").read_bytes().replace(b'NODE = b""\n', b"NODE = %r\n" % node, 1)
    return program_of(text, needs_packages=True)


def ray_command(spec: RaySpec, spool: str, options: tuple[str, ...] = ()) -> tuple[str, ...]:
    """The command of a channel to a cluster; what it wants to be sent is `bridge_program`.

    `spool`: an absolute path, or a name in the state folder of the user there. `options`: of ssh.
    """
    env = {name: os.environ[name] for name in _PASSED_ON if name in os.environ}
    words = (spec.address, spec.token_file) if spec.token_file else (spec.address,)
    command = boot_command(spool, spec.python, bridge_program(), words, env)
    return over_ssh(spec.via, command, options) if spec.via else ("/bin/sh", "-c", command)


def why_not(code: int | None, said: str, spec: RaySpec) -> Problem:
    """What it means that the command of a channel ended with this exit code, and said this on standard error."""
    told = [line.removeprefix("parexec: ") for line in said.splitlines() if line.startswith("parexec: ")]
    if code in (UNREACHABLE, UNUSABLE) and told:
        return Problem(told[-1], is_of_host=code == UNUSABLE)
    if code == NO_PYTHON:
        return Problem("it has no python3 of 3.8 or later: say which Python has Ray, by `python` of `ray`", True)
    if code == NO_SUCH_PYTHON:
        return Problem("what `python` of `ray` says is no python3 of 3.8 or later there: set it right", True)
    return ssh.why_not(code, said, spec.via or "this machine")
