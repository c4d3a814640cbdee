"""Commands that a plan is read with: what they print, within bounds."""

import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress

_MOST_SECONDS = 60
_LOOKS = 0.05
"""Seconds between two looks whether a command is over of which another process holds the output open."""


class CommandFailedError(Exception):
    """A command told nothing; the text says why."""


def output_of(command: str, folder: str, most_bytes: int) -> bytes:
    """What a command of the shell prints until it exits; what it leaves behind in its process group is ended.

    Raises CommandFailedError if it fails, prints more than `most_bytes` or takes more than a minute.
    """
    try:
        process = subprocess.Popen(
            ["/bin/sh", "-c", command],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise CommandFailedError(f"the command cannot be run in {folder}: {error.strerror}") from error
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        try:
            printed, said = _read(process, process.stdout.fileno(), process.stderr.fileno(), most_bytes)
        finally:
            _end(process)
            process.wait()
    if process.returncode:
        lines = said.decode(errors="replace").strip().splitlines()
        raise CommandFailedError(
            f"the command failed with exit {process.returncode}{': ' + lines[-1] if lines else ''}"
        )
    return printed


def _read(process: subprocess.Popen[bytes], out: int, err: int, most_bytes: int) -> tuple[bytes, bytes]:
    """What it prints on both until it exits: not until nobody has them open any more, which may be never."""
    until = time.monotonic() + _MOST_SECONDS
    found = {out: bytearray(), err: bytearray()}
    with selectors.DefaultSelector() as selector:
        for fd in found:
            os.set_blocking(fd, False)
            selector.register(fd, selectors.EVENT_READ)
        while True:
            is_over = _is_over(process)  # before the look at what it printed, so that all of it is read
            if is_over:
                _end(process)
            ready = selector.select(0 if is_over else _LOOKS) if selector.get_map() else []
            if not selector.get_map() and not is_over:
                time.sleep(_LOOKS)
            for key, _ in ready:
                data = os.read(key.fd, 1 << 16)
                if not data:
                    selector.unregister(key.fd)
                found[key.fd] += data
                if key.fd == err:
                    del found[err][:-4096]
            if len(found[out]) > most_bytes:
                raise CommandFailedError(f"the command printed more than {most_bytes >> 20} MiB")
            if is_over and not ready:
                return bytes(found[out]), bytes(found[err])
            if time.monotonic() > until:
                raise CommandFailedError(
                    f"the command took more than {_MOST_SECONDS} s: let it write a file, and read that"
                )


def _is_over(process: subprocess.Popen[bytes]) -> bool:
    """Whether it has exited. It is not waited for: as long as it is there, its group is no other's."""
    return os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _end(process: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
