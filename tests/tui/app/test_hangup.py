"""Nothing reads on from a terminal that is gone, even if the command leads its session and gets the only signal."""

import os
import pty
import sys
import time
from pathlib import Path

import psutil
import pytest

from parexec_tui.tui.terminal.restore import AppProcess
from tests.engine.engines import until


def _lead(note: Path) -> None:
    """What runs in the terminal: a command that leads its session, with an app that ends only when told to."""

    def app() -> int:
        note.write_text(str(os.getpid()), encoding="ascii")
        while True:
            time.sleep(60)

    code = 1
    try:
        sys.stdin = os.fdopen(0)
        process = AppProcess(lambda: lambda _: app())
        process.start("s1")
        code = abs(process.wait())
    finally:
        os._exit(code)  # whatever happens: we are a copy of pytest


@pytest.mark.parametrize("how", ["hung up", "the command is killed"])
def test_an_app_ends_with_its_terminal_and_with_its_command(tmp_path: Path, how: str) -> None:
    note = tmp_path / "pid"
    leader, master = pty.fork()
    if leader == 0:
        _lead(note)
    until(lambda: note.exists() and note.read_text(encoding="ascii") != "", "the app runs")
    app = psutil.Process(int(note.read_text(encoding="ascii")))

    if how == "hung up":
        os.close(master)
    else:
        os.kill(leader, 9)

    until(lambda: os.waitpid(leader, os.WNOHANG)[0] == leader, "the command is gone")
    until(lambda: not app.is_running() or app.status() == psutil.STATUS_ZOMBIE, "the app is gone")
