"""Starts the process that sends the spans of a session while it runs. The engine neither waits for it nor ends it."""

import os
import subprocess
import sys
from collections.abc import Callable

from parexec_tui.core.plan.otel import Otel
from parexec_tui.paths import session_folder
from parexec_tui.tracing.endpoint import endpoint_of, is_sent, lack_for
from parexec_tui.tracing.sent import is_being_sent

_COMMAND = "parexec_tui.cli.tracing"
"""Knows the session and the engine from outside, as all commands do."""


def start_sending(session: str, otel: Otel, notice: Callable[[str], None]) -> None:
    """Start that process, if the plan or the settings want it and no other sends already. What it has to say goes to
    engine.log. It ends when neither engine nor guardian is left, and all is sent or nobody takes it.

    Before the engine starts attempts: what of its children is there by then is not theirs.
    """
    if lack := lack_for(otel):
        notice(lack)
    folder = session_folder(session)
    if not is_sent(otel) or is_being_sent(folder, endpoint_of(otel)):
        return
    try:
        log = os.open(folder.engine_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        try:
            process = subprocess.Popen(
                [sys.executable, "-m", _COMMAND, session],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                cwd="/",
            )
        finally:
            os.close(log)
    except OSError as error:
        notice(f"[otel]: what sends spans could not be started: {error.strerror}; later: parexec trace {session}")
        return
    process.returncode = 0  # it is not ours to wait for: no complaint when we forget it
