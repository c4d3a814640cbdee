"""Both ways to start a process do the same; the one through the C library lets other threads run meanwhile."""

import errno
import os
import re
import signal
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from parexec_tui.engine.backends.local import posix_spawn
from parexec_tui.engine.backends.local.posix_spawn import LibcSpawn, SpawnFunction, best_spawn, python_spawn

SPAWNS = [
    pytest.param(python_spawn, id="python"),
    pytest.param(
        LibcSpawn(), id="libc", marks=pytest.mark.skipif(best_spawn() is python_spawn, reason="another system")
    ),
]


def output_of(spawn: SpawnFunction, folder: Path, argv: Sequence[str], env: Mapping[str, str] | None = None) -> str:
    """Run a program to its end; returns what it wrote."""
    opens = [(0, os.devnull, os.O_RDONLY, 0), (1, str(folder / "output"), os.O_WRONLY | os.O_CREAT, 0o600)]
    pid = spawn("/bin/sh", argv, os.environ if env is None else env, opens)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return (folder / "output").read_text(errors="surrogateescape")


@pytest.mark.parametrize("spawn", SPAWNS)
def test_arguments_variables_and_descriptors(tmp_path: Path, spawn: SpawnFunction) -> None:
    script = 'printf "%s|" "$@" "$COLOUR" "${NOTHING-unset}"; echo oops >&2; readlink /proc/self/fd/0'
    words = ("", "a b", "ümläut \udcff", "x" * 100_000)
    written = output_of(
        spawn, tmp_path, ("sh", "-c", script, "sh", *words), {"COLOUR": "r=d", "PATH": "/bin:/usr/bin"}
    )
    assert written == "|".join((*words, "r=d", "unset", "oops\n/dev/null\n"))
    assert (tmp_path / "output").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("spawn", SPAWNS)
def test_no_variable_at_all(tmp_path: Path, spawn: SpawnFunction) -> None:
    assert output_of(spawn, tmp_path, ("sh", "-c", "echo ${HOME-unset}"), {}) == "unset\n"


@pytest.mark.parametrize("spawn", SPAWNS)
def test_a_session_of_its_own_and_no_signal_ignored_or_blocked(tmp_path: Path, spawn: SpawnFunction) -> None:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGINT, signal.SIGRTMIN + 3)}
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    try:
        text = output_of(spawn, tmp_path, ("sh", "-c", "cat /proc/$$/stat /proc/self/status"))
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR1})
    pid, _, _, _, group, session = text.split()[:6]
    assert pid == group == session
    masks = {name: int(mask, 16) for name, mask in re.findall(r"(Sig\w+):\s+(\w+)", text)}
    assert masks["SigBlk"] == 0
    internal = 0b11 << 31 if spawn is python_spawn else 0
    assert masks["SigIgn"] & ~internal == 0


@pytest.mark.parametrize("spawn", SPAWNS)
def test_what_cannot_be_started_says_why(tmp_path: Path, spawn: SpawnFunction) -> None:
    there = tmp_path / "there"
    there.touch()
    once = [(9, str(there), os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)]
    with pytest.raises(FileExistsError):
        spawn("/bin/sh", ("sh", "-c", "true"), os.environ, once)
    with pytest.raises(FileNotFoundError):
        spawn("/no/such/program", ("sh",), os.environ, ())
    with pytest.raises(OSError, match="too long") as raised:
        spawn("/bin/sh", ("sh", "-c", "x" * 3_000_000), os.environ, ())
    assert raised.value.errno == errno.E2BIG
    with pytest.raises(ValueError, match="null byte"):
        spawn("/bin/sh", ("sh", "-c", "a\0b"), os.environ, ())
    with pytest.raises(ValueError, match="null byte"):
        spawn("/bin/sh", ("sh", "-c", "true"), {"A": "a\0b"}, ())
    with pytest.raises(ValueError, match="illegal environment variable name"):
        spawn("/bin/sh", ("sh", "-c", "true"), {"A=B": "c"}, ())


@pytest.mark.skipif(best_spawn() is python_spawn, reason="another system")
def test_others_run_until_the_program_is_executed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    pids: list[int] = []
    opens = [(1, str(tmp_path / "pipe"), os.O_WRONLY, 0)]
    thread = threading.Thread(
        target=lambda: pids.append(best_spawn()("/bin/sh", ("sh", "-c", "echo hello"), os.environ, opens))
    )
    thread.start()  # the new process waits for somebody who reads from the pipe
    assert (tmp_path / "pipe").read_text() == "hello\n"
    thread.join()
    assert os.waitpid(pids[0], 0)[1] == 0


def test_a_c_library_that_cannot_do_it_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: object) -> None:
        raise OSError(errno.EINVAL, "no such flag")

    monkeypatch.setattr(posix_spawn, "_attributes", refuse)
    assert best_spawn() is python_spawn
