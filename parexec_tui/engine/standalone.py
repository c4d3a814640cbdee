"""What the engine process of a session does, from its options to its exit code."""

import argparse
import os
import select
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from msgspec import MsgspecError, json

from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.engine.backends.local.orphans import Orphans
from parexec_tui.engine.backends.opening import open_backend
from parexec_tui.engine.lifecycle.beginning import EngineOptions
from parexec_tui.engine.lifecycle.guardian import CANNOT_START, NOT_NOW, STATE_LOST
from parexec_tui.engine.passing import first_of, is_passing
from parexec_tui.engine.session import run_session
from parexec_tui.engine.sinks import EventSink
from parexec_tui.gc_control import collect_seldom
from parexec_tui.paths import session_folder
from parexec_tui.registry.errors import RegistryError, StateLost
from parexec_tui.registry.lock import has_guardian, is_owned
from parexec_tui.text.event_lines import lines
from parexec_tui.text.words import columns, day_and_clock, subject_width

_LONGEST_WHY = 400
"""Characters of what is told to the guardian."""


def main() -> int:
    collect_seldom()
    options = _options()
    ready, why = OneLine(options.ready_fd), OneLine(options.why_fd)
    log = Log(ready.say)
    if options.give_up is not None:
        if options.if_alone and _has_anybody(options.session):
            return 0
        return _give_up(options, log, why)
    _watch_guardian(log.notice)
    log.notice(f"engine {os.getpid()} {'takes over' if options.restarted else 'starts'}")
    try:
        result = run_session(options.session, EventSink(log.tell, log.notice), _wanted(options))
    except StateLost as lost:
        log.notice(f"engine {os.getpid()} leaves: {lost}")
        ready.say(f"error: {lost}")
        return STATE_LOST
    except BaseException as error:
        return _failed(error, log, ready, why)
    ready.say("ready")
    log.notice(f"engine {os.getpid()} leaves: {result.outcome}")
    return 0


def _wanted(options: argparse.Namespace) -> EngineOptions:
    return EngineOptions(
        hold=options.hold,
        resume=options.resume and not options.restarted,
        retry_failed=options.retry_failed and not options.restarted,
        fail_fast=None if options.restarted else options.fail_fast,
        budget="" if options.restarted else options.budget,
        by=options.by,
        beside=() if options.restarted else json.decode(options.beside, type=tuple[ev.Neighbour, ...]),
        awaits=options.awaits and not options.restarted,
        restarted=options.restarted,
        died=options.died,
        stays=True,
    )


def _failed(error: BaseException, log: "Log", ready: "OneLine", why: "OneLine") -> int:
    """Say why the engine ends, and return its exit code."""
    passes = is_passing(error)
    first = first_of(error)
    is_known = passes or isinstance(error, RegistryError | OSError | MsgspecError)
    if not is_known or log.has_begun:
        log.write("".join(traceback.format_exception(error)))
    if not is_known or (log.has_begun and not passes):
        return 1
    what = "the plan in the registry cannot be read: " if isinstance(first, MsgspecError) else ""
    text = f"{what}{first}"
    log.notice(f"cannot {'go on' if log.has_begun else 'start'}: {text}")
    why.say(text[:_LONGEST_WHY])
    is_heard = ready.say(f"error: {text}")
    return NOT_NOW if passes and not is_heard else CANNOT_START


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="parexec_tui.engine", description=__doc__)
    parser.add_argument("session")
    parser.add_argument("--ready-fd", type=int, help="where to write `ready`, or `error: …`, once")
    parser.add_argument("--why-fd", type=int, help="where to write why the engine ends, if it cannot go on")
    parser.add_argument("--hold", action="store_true", help="begin a new session held")
    parser.add_argument("--resume", action="store_true", help="end the holds and drains of the session")
    parser.add_argument("--retry-failed", action="store_true")
    parser.add_argument("--fail-fast", action=argparse.BooleanOptionalAction, help="end with the first failure")
    parser.add_argument("--budget", default="", help="what coding agents may spend from now on")
    parser.add_argument("--by", default="", help="how what the person wants is signed")
    parser.add_argument("--beside", metavar="JSON", default="[]", help="living sessions that claim the same")
    parser.add_argument("--awaits", action="store_true", help="wait for a request, though the session is finished")
    parser.add_argument("--died", default="", help="when the engine before this one died, and how")
    parser.add_argument("--restarted", action="store_true", help="an engine before this one had the same options")
    parser.add_argument("--give-up", metavar="REASON", help="no engine can be kept alive: see to what that one left")
    parser.add_argument("--end-all", action="store_true", help="end what runs, whatever the plan says")
    parser.add_argument("--if-alone", action="store_true", help="give up only if there is no guardian and no engine")
    return parser.parse_args()


def _has_anybody(session: str) -> bool:
    """Whether a session has an engine, or a guardian that will start one."""
    folder = session_folder(session)
    return is_owned(folder.lock) or has_guardian(folder)


def _give_up(options: argparse.Namespace, log: "Log", why: "OneLine") -> int:
    from parexec_tui.engine.lifecycle.abandon import abandon

    try:
        abandon(
            options.session,
            options.give_up,
            EventSink(log.tell, log.notice),
            partial(open_backend, options.session, orphans=Orphans()),
            end_all=options.end_all,
        )
    except (RegistryError, OSError, MsgspecError) as error:
        log.notice(f"the session could not be marked as interrupted: {error}")
        why.say(str(error)[:_LONGEST_WHY])
        return NOT_NOW if is_passing(error) else CANNOT_START
    return 0


class OneLine:
    """The one line that the process which started us waits for. If that process is gone, nobody is told."""

    def __init__(self, fd: int | None) -> None:
        self._fd = fd
        if fd is not None:
            os.set_inheritable(fd, False)

    def say(self, line: str) -> bool:
        """Say the line, if none was said yet. False if nobody can hear it."""
        if self._fd is None:
            return False
        try:
            os.write(self._fd, f"{' '.join(line.split())}\n".encode())
        except OSError:
            return False
        finally:
            os.close(self._fd)
            self._fd = None
        return True


class Log:
    """Writes to engine.log, which is our stdout. It never raises: `DiskWatch` sees to a full disk."""

    def __init__(self, ready: Callable[[str], object]) -> None:
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
