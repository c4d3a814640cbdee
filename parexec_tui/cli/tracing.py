"""trace: what became of a session as spans of OpenTelemetry, sent to a collector while it runs or afterwards."""

import select
import sys
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import TYPE_CHECKING

import click

from parexec_tui.cli.asking import seconds, session_argument
from parexec_tui.cli.exits import BAD_USAGE, SUCCEEDED, UNSUCCESSFUL, fail, report_errors

if TYPE_CHECKING:
    from parexec_tui.client.following import Stop
    from parexec_tui.core.plan.otel import Otel
    from parexec_tui.core.state import events as ev
    from parexec_tui.core.state.session import SessionState
    from parexec_tui.tracing.otlp import Sender
    from parexec_tui.tracing.sent import Place, Sent
    from parexec_tui.tracing.spans import Span

_BATCH = 512
"""Spans of one request, as OpenTelemetry has it where nobody says otherwise."""

_EVERY = 1.0
"""Seconds between two requests while a session runs."""

_MAX_PAUSE = 30.0
"""Seconds between two tries while nobody takes what is sent; the first ones follow one another faster."""

_AT_ONCE = 5000
"""Events of a session that are read before what is over with them is sent."""

GIVE_UP = 60.0
"""Seconds after the end of a session in which it is tried to send the rest."""


@click.command()
@session_argument("the newest of this directory")
@click.option("-f", "--follow", is_flag=True, help="Go on until the session is over.")
@click.option("--endpoint", metavar="URL", default="", help="The collector, for instance http://localhost:4318.")
@click.option("--again", is_flag=True, help="Send also what this collector has taken before.")
@click.option(
    "--timeout",
    callback=seconds,
    metavar="DURATION",
    help="How long it is tried to send the rest of a session that is over (default: 1m).",
)
@report_errors()
def trace(session: str | None, follow: bool, endpoint: str, again: bool, timeout: float | None) -> None:
    """Send SESSION (default: the newest of this directory) as a trace of OpenTelemetry to a collector, by OTLP over
    HTTP: a span for the session, each ticket, each attempt, each of its steps, and each service, once it is over.

    What the collector has taken is not sent again, whoever sent it. If nobody takes it, it is tried again and again,
    and nothing is lost: the next `parexec trace` sends the rest.

    Needs `pip install 'parexec-tui[otel]'`. OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS,
    OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES and others of the kind are obeyed.

    \b
    Exit codes:
      0    all that is over was sent
      1    some of it was not taken
      2    wrong usage, no such session, or something is not installed
      130  ctrl-c
    """
    from parexec_tui.client.sessions import open_registry, resolve_past
    from parexec_tui.core.plan.otel import wrong_endpoint
    from parexec_tui.tracing.endpoint import NOT_INSTALLED, endpoint_of, is_disabled, is_installed

    if endpoint and (wrong := wrong_endpoint(endpoint)):
        fail(f"{wrong}: write for instance http://localhost:4318", BAD_USAGE)
    if not is_installed():
        fail(NOT_INSTALLED, BAD_USAGE)
    if is_disabled():
        fail("OTEL_SDK_DISABLED is set, so nothing is sent", BAD_USAGE)
    with open_registry() as registry:
        id_ = resolve_past(registry, session).session
    tracing = _Tracing(id_)
    url = endpoint_of(tracing.otel, endpoint)
    if wrong := wrong_endpoint(url):
        fail(f"{wrong}: write for instance http://localhost:4318", BAD_USAGE)
    sys.exit(tracing.send_to(url, follow=follow, again=again, give_up=GIVE_UP if timeout is None else timeout))


class _Tracing:
    """The spans of a session, on their way from its journal to a collector."""

    def __init__(self, session: str) -> None:
        """Raises RegistryError."""
        from parexec_tui.client.mirror import Mirror
        from parexec_tui.tracing.sent import NOTHING

        self._seq = 0
        self._taken = NOTHING
        """The last span that had been taken before we began."""
        self._waiting: deque[tuple[Place, Span]] = deque()
        """What is over, and was not taken yet."""
        self._mirror = Mirror.open(session, fold=self._fold)
        self._sender: Sender | None = None
        self._count = 0
        """Spans that were taken."""
        self._size = _BATCH
        """Spans of a request: fewer after one that was too large."""
        self._pause = 0.0
        self._next = 0.0
        """When the next request is due, on the monotonic clock."""
        self._problem = ""
        """Why the last one was not taken."""

    @property
    def otel(self) -> "Otel":
        """What the plan says, or else the settings of who started the session."""
        return self._mirror.state.plan.telemetry

    def _fold(self, state: "SessionState") -> "Callable[[ev.AnyEvent], None]":
        from parexec_tui.core.state.apply import apply
        from parexec_tui.tracing.sent import Place
        from parexec_tui.tracing.spans import Spans

        spans = Spans(state)

        def take(event: "ev.AnyEvent") -> None:
            apply(state, event)
            self._seq += 1
            for number, span in enumerate(spans.take(event), 1):
                if (place := Place(self._seq, number)) > self._taken:
                    self._waiting.append((place, span))

        return take

    def send_to(
        self, url: str, *, follow: bool, again: bool = False, give_up: float = GIVE_UP, by_engine: bool = False
    ) -> int:
        """Send what was not sent yet, and return an exit code. `by_engine`: leave it to who does it already, and say
        only what is wrong. Raises RegistryError, OSError."""
        from parexec_tui.client.following import Stop
        from parexec_tui.paths import session_folder
        from parexec_tui.tracing.sent import NOTHING, Sent

        sent = Sent(session_folder(self._mirror.session), url)
        with Stop() as stop:
            if not sent.take():
                if by_engine:
                    return SUCCEEDED
                _say(f"the spans of {self._mirror.session} are being sent to {url}: waiting for that to end")
                while not sent.take():
                    if _stopped_within(stop, 0.2):
                        return 128 + (stop.signal or 0)
            if again:
                sent.note(NOTHING)
            self._taken = sent.last
            try:
                whole = (
                    self._follow(sent, url, stop, give_up) if follow else self._send_past(sent, url, stop, give_up)
                )
            finally:
                sent.release()
            if whole and not by_engine:
                self._tell(url)
            if not whole:
                self._complain(url)
            return (128 + stop.signal) if stop.signal is not None else SUCCEEDED if whole else UNSUCCESSFUL

    # -- reading and sending -----------------------------------------------------------------------------------

    def _send_past(self, sent: "Sent", url: str, stop: "Stop", give_up: float) -> bool:
        """Send what is over up to now. Returns whether all of it was taken."""
        while True:
            before = self._mirror.last
            for _ in self._mirror.news(before + _AT_ONCE):
                pass
            if self._mirror.last == before:
                for _ in self._mirror.news():  # raises, if there are events that cannot be read
                    pass
                return self._finish(sent, url, stop, give_up)
            if not self._finish(sent, url, stop, give_up):
                return False

    def _follow(self, sent: "Sent", url: str, stop: "Stop", give_up: float) -> bool:
        """The same until neither an engine nor a guardian is left."""
        from parexec_tui.client.following import Following
        from parexec_tui.client.sessions import is_living

        session = self._mirror.session
        while True:
            following = Following(self._mirror, _say, stop=stop)
            for _ in following:
                if time.monotonic() >= self._next:
                    self._send(sent, url)
                following.within = max(0.0, self._next - time.monotonic()) if self._waiting else 60.0
            whole = self._finish(sent, url, stop, give_up)
            if stop.signal is not None:
                return whole
            if is_living(session):  # its engine has yet to end, or another one came, which may go on
                _stopped_within(stop, _EVERY)
                continue
            sent.release()
            # An engine that came while we had the lock started nobody else.
            if not (is_living(session) and sent.take()):
                return whole

    def _finish(self, sent: "Sent", url: str, stop: "Stop", give_up: float) -> bool:
        """Send what is left. Returns whether all of it was taken within so many seconds."""
        until = time.monotonic() + give_up
        self._next = 0.0
        while self._waiting:
            self._send(sent, url)
            now = time.monotonic()
            if not self._problem:
                continue
            if now >= until or _stopped_within(stop, min(self._next, until) - now):
                return False
        return True

    def _send(self, sent: "Sent", url: str) -> None:
        """Send the first spans that wait. If they are not taken, they wait on."""
        waiting = self._waiting
        while waiting and waiting[0][0] <= sent.last:
            waiting.popleft()
        if not waiting:
            return
        if self._sender is None:
            from parexec_tui.tracing.ids import trace_id
            from parexec_tui.tracing.otlp import Sender

            state = self._mirror.state
            self._sender = Sender(url, state.session, trace_id(state), self.otel.attributes)
        batch = list(islice(waiting, self._size))
        problem = self._sender.send([span for _, span in batch])
        if problem:
            self._pause = min(_MAX_PAUSE, max(_EVERY, 2 * self._pause))
            if self._sender.was_too_large and len(batch) > 1:
                self._size, self._pause = len(batch) // 2, 0.0
            elif problem != self._problem:
                _say(f"{url} does not take the spans of {self._mirror.session}, they are kept for later: {problem}")
        else:
            for _ in batch:
                waiting.popleft()
            sent.note(batch[-1][0])
            self._count += len(batch)
            self._pause = 0.0 if len(waiting) >= self._size else _EVERY
        self._problem = problem
        self._next = time.monotonic() + self._pause

    # -- what is told ------------------------------------------------------------------------------------------

    def _tell(self, url: str) -> None:
        from parexec_tui.core.plan.units import format_count
        from parexec_tui.tracing.ids import trace_id

        state = self._mirror.state
        click.echo(f"trace {trace_id(state)}: {format_count(self._count, 'span')} sent to {url}")
        if state.finished_at is None:
            click.echo(f"what is not over yet follows when it is: parexec trace {state.session}")

    def _complain(self, url: str) -> None:
        session = self._mirror.session
        _say(f"not all spans of {session} were taken by {url}: {self._problem or 'it was interrupted'}")
        _say(f"nothing is lost, this sends the rest: parexec trace {session}")


def _say(text: str) -> None:
    from parexec_tui.text.words import printable

    click.echo(f"parexec: {printable(text)}", err=True)


def _stopped_within(stop: "Stop", pause: float) -> bool:
    """Wait so many seconds, but no longer than until a signal comes; returns whether one did."""
    if stop.signal is None and pause > 0:
        select.select([stop], [], [], pause)
    return stop.signal is not None


def main() -> None:
    """What the engine of a session starts beside it: `python -m parexec_tui.cli.tracing SESSION`."""
    from parexec_tui.tracing.endpoint import endpoint_of

    with report_errors():
        tracing = _Tracing(sys.argv[1])
        sys.exit(tracing.send_to(endpoint_of(tracing.otel), follow=True, by_engine=True))


COMMANDS: tuple[click.Command, ...] = (trace,)

if __name__ == "__main__":
    main()
