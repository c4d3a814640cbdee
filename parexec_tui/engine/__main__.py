"""The engine process of a session, which the guardian starts. People use `parexec run` instead."""

import argparse
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from msgspec import MsgspecError

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.coordinator import EventSink
from parexec_tui.engine.lifecycle.beginning import EngineOptions
from parexec_tui.engine.lifecycle.guardian import CANNOT_START, STATE_LOST
from parexec_tui.engine.session import open_backend, run_session
from parexec_tui.gc_control import collect_seldom
from parexec_tui.paths import session_folder
from parexec_tui.registry.errors import RegistryError, StateLost
from parexec_tui.registry.lock import has_guardian, is_owned
from parexec_tui.text.event_lines import lines
from parexec_tui.text.words import columns, day_and_clock, subject_width


def main() -> int:
    collect_seldom()
    options = _options()
    ready = ReadyLine(options.ready_fd)
    log = Log(ready.say)
    if options.give_up is not None:
        if options.if_alone and _has_anybody(options.session):
            return 0
        return _give_up(options.session, options.give_up, log)
    wanted = EngineOptions(
        hold=options.hold,
        resume=options.resume and not options.restarted,
        retry_failed=options.retry_failed and not options.restarted,
        fail_fast=None if options.restarted else options.fail_fast,
        awaits=options.awaits and not options.restarted,
        restarted=options.restarted,
        stays=True,
    )
    _watch_guardian(log.notice)
    log.notice(f"engine {os.getpid()} {'takes over' if options.restarted else 'starts'}")
    try:
        result = run_session(options.session, EventSink(log.tell, log.notice), wanted)
    except StateLost as lost:
        log.notice(f"engine {os.getpid()} leaves: {lost}")
        ready.say(f"error: {lost}")
        return STATE_LOST
    except BaseException as error:
        if log.has_begun or not isinstance(error, (RegistryError, OSError, MsgspecError)):
            log.write(traceback.format_exc())
            return 1
        what = "the plan in the registry cannot be read: " if isinstance(error, MsgspecError) else ""
        log.notice(f"cannot start: {what}{error}")
        ready.say(f"error: {what}{error}")
        return CANNOT_START
    ready.say("ready")
    log.notice(f"engine {os.getpid()} leaves: {result.outcome}")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="parexec_tui.engine", description=__doc__)
    parser.add_argument("session")
    parser.add_argument("--ready-fd", type=int, help="where to write `ready`, or `error: …`, once")
    parser.add_argument("--hold", action="store_true", help="begin a new session held")
    parser.add_argument("--resume", action="store_true", help="end the holds and drains of the session")
    parser.add_argument("--retry-failed", action="store_true")
    parser.add_argument("--fail-fast", action=argparse.BooleanOptionalAction, help="end with the first failure")
    parser.add_argument("--awaits", action="store_true", help="wait for a request, though the session is finished")
    parser.add_argument("--restarted", action="store_true", help="an engine before this one had the same options")
    parser.add_argument("--give-up", metavar="REASON", help="no engine can be kept alive: see to what that one left")
    parser.add_argument("--if-alone", action="store_true", help="give up only if there is no guardian and no engine")
    return parser.parse_args()


def _has_anybody(session: str) -> bool:
    """Whether a session has an engine, or a guardian that will start one."""
    folder = session_folder(session)
    return is_owned(folder.lock) or has_guardian(folder)


def _give_up(session: str, reason: str, log: "Log") -> int:
    from parexec_tui.engine.lifecycle.abandon import abandon

    try:
        abandon(session, reason, EventSink(log.tell, log.notice), partial(open_backend, session, orphans=Orphans()))
    except (RegistryError, OSError, MsgspecError) as error:
        log.notice(f"the session could not be marked as interrupted: {error}")
        return CANNOT_START
    return 0


class ReadyLine:
    """The one line that the process which started us waits for. If that process is gone, nobody is told."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        if fd is not None:
            os.set_inheritable(fd, False)

    def say(self, line: str) -> None:
        """Say the line, if none was said yet."""
        if self._fd is not None:
            with suppress(OSError):
                os.write(self._fd, f"{' '.join(line.split())}\n".encode())
            os.close(self._fd)
            self._fd = None


class Log:
    """Writes to engine.log, which is our stdout. It never raises: `DiskWatch` sees to a full disk."""

    def __init__(self, ready: Callable[[str], None]) -> None:
        self._ready = ready
        self._width = 0
        self.has_begun = False
        """Whether the first events of this engine are in the registry."""

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        self.has_begun = True
        self._ready("ready")
        self._width = self._width or subject_width(state.tickets)
        shown = [line for event in events for line in lines(state, event)]
        self.write(
            "".join(
                f"{day_and_clock(line.at)}  {'  '.join(columns(line, self._width, ascii_only=False))}  {line.text}\n"
                for line in shown
            )
        )

    def notice(self, text: str) -> None:
        self.write(f"{day_and_clock(time.time())}  {text}\n")

    def write(self, text: str) -> None:
        with suppress(OSError):
            os.write(1, text.encode())


def _watch_guardian(notice: Callable[[str], None]) -> None:
    """Say when the guardian is gone, because nobody would start another engine then."""
    guardian = os.getppid()
    if not hasattr(os, "pidfd_open"):
        return
    try:
        fd = os.pidfd_open(guardian)
    except OSError:
        return

    def wait() -> None:
        select.select([fd], [], [])
        notice(f"guardian {guardian} is gone: this engine goes on, but none follows it if it dies")

    with suppress(RuntimeError):  # the system has no thread left
        threading.Thread(target=wait, name="parexec-guardian", daemon=True).start()


if __name__ == "__main__":
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    sys.exit(main())
