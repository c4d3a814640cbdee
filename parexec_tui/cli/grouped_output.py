"""What commands printed, on standard output: all that one printed at once, when it is over, as GNU parallel does."""

import queue
import sys
import threading
from collections.abc import Mapping, Sequence

import click

from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import TERMINAL
from parexec_tui.outputs.output import Output
from parexec_tui.text.attempt_output import attempt_output
from parexec_tui.text.streams import OutputError, abandon
from parexec_tui.text.words import printable

_CHUNK = 1 << 20
"""Bytes that are read at once."""


class GroupedOutput:
    """Writes the output of each ticket that is over. Use it as a context manager around the run.

    The engine only says which: a thread reads and writes, so that a reader who is slow does not hold the engine up.
    """

    def __init__(self, tickets: Mapping[str, Ticket], *, keeps_order: bool, is_tagged: bool) -> None:
        """`keeps_order`: in the order of the tickets. `is_tagged`: before each line the input, and a tab."""
        self._tickets = tickets
        self._places = {id_: number for number, id_ in enumerate(tickets)} if keeps_order else None
        self._is_tagged = is_tagged
        self._over: set[str] = set()
        self._next = 0
        self._kept: dict[int, tuple[str, Output]] = {}
        """With `keeps_order`, by place: what is over before one that stands before it."""
        self._waiting: queue.SimpleQueue[tuple[str, Output] | None] = queue.SimpleQueue()
        self.lost: OutputError | None = None
        """Why the output could not be written."""
        self.is_stuck = False
        """Whether the thread still waits for a reader. Python would wait for it at exit: use `os._exit`."""
        self._thread = threading.Thread(target=self._write, name="parexec-output", daemon=True)

    def __enter__(self) -> "GroupedOutput":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Wait until everything is written, also for a reader that pauses. Ctrl-c gives the rest up."""
        for place in sorted(self._kept):
            self._waiting.put(self._kept[place])
        self._waiting.put(None)
        self.is_stuck = True
        try:
            self._thread.join()
            self.is_stuck = False
        except KeyboardInterrupt:
            self.lost = self.lost or OutputError(InterruptedError(0, "interrupted"))

    # -- called by the engine: never waits -------------------------------------------------------------------

    def tell(self, state: SessionState, events: Sequence[ev.AnyEvent]) -> None:
        """Have written what is over by these events, and why nothing starts."""
        for event in events:
            if isinstance(event, ev.HostPressed):
                self.notice(f"nothing starts, since the host is short of {event.resource}: {event.text}")
            id_ = getattr(event, "ticket", "")  # of what is told of the host it is empty
            ticket = state.tickets.get(id_)
            if ticket is None or id_ in self._over or ticket.status not in TERMINAL:
                continue
            self._over.add(id_)
            if ticket.attempts:
                self._put(id_, attempt_output(state, ticket))

    def notice(self, text: str) -> None:
        """Print a line that belongs to no event, on standard error."""
        click.echo(f"parexec: {printable(text)}", err=True)

    def _put(self, id_: str, output: Output) -> None:
        if self._places is None:
            self._waiting.put((id_, output))
            return
        self._kept[self._places[id_]] = (id_, output)
        while self._next in self._kept:
            self._waiting.put(self._kept.pop(self._next))
            self._next += 1

    # -- the thread ------------------------------------------------------------------------------------------

    def _write(self) -> None:
        while (each := self._waiting.get()) is not None:
            if self.lost is not None:
                continue
            try:
                self._copy(*each)
                sys.stdout.buffer.flush()
            except OutputError as error:
                self.lost = error
                abandon(sys.stdout)
            except OSError as error:
                self.notice(f"the output of {each[0]} cannot be read: {error}")

    def _copy(self, id_: str, output: Output) -> None:
        before = f"{self._tickets[id_].member['input']}\t".encode() if self._is_tagged else b""
        is_at_start = True
        offset = 0
        while True:
            data = output.read(offset, _CHUNK)
            if not data:
                if (past := output.past_gap(offset)) == offset:
                    return
                self.notice(f"{id_} printed more than max_log: {past - offset} bytes of it were not kept")
                offset = past
                continue
            offset += len(data)
            if before:
                ends = data.endswith(b"\n")
                data = (before if is_at_start else b"") + before.join(_lines(data))
                is_at_start = ends
            sys.stdout.buffer.write(data)


def _lines(data: bytes) -> list[bytes]:
    """The lines, each with its end. (`bytes.splitlines` also ends them at a carriage return.)"""
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + parts[-1:] * bool(parts[-1])
