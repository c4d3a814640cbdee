"""Which output of an attempt tells most, where a person finds it, and its last lines."""

from itertools import islice

from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import End
from parexec_tui.core.state.steps import first_step
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.outputs.log_lines import final_state
from parexec_tui.outputs.output import Output, output_of

_TAIL_BYTES = 64 * 1024
"""Bytes at the end of an output in which its last lines are looked for."""

_LONGEST_LINE = 500
"""Characters of a line that are shown."""


def attempt_output(
    state: SessionState, ticket: TicketState, attempt: int | None = None, step: str | None = None
) -> Output:
    """The output of a step of an attempt; default: of the latest attempt, and of its step that tells most."""
    number = attempt or ticket.attempts
    return output_of(state.session, ProcessKey(ticket.id, number, step or told_step(ticket, number)))


def log_place(state: SessionState, ticket: TicketState) -> str | None:
    """Where a person finds its last output; None if there is none: no attempt, or one that could not begin."""
    if not ticket.attempts:
        return None
    output = attempt_output(state, ticket)
    if ticket.end is End.could_not_start:
        try:
            output.grew()
        except FileNotFoundError:
            return None
        except OSError:
            pass  # it may be there
    return output.name


def told_step(ticket: TicketState, attempt: int) -> str:
    """The step of an attempt whose output tells most: the command, but of the latest attempt the gate that it is at
    or that failed it."""
    latest = ticket.attempt
    if latest is not None and latest.number == attempt:
        return latest.told_step
    return first_step(ticket)


def last_lines(output: Output, limit: int = 5) -> list[str]:
    """The last lines of an output that are not blank, safe to print; an empty list if there is no output.

    A progress bar is one line, in its last state. That TERM ended the command, which its shell says below them, is
    left out: the reason of the end tells it.
    """
    try:
        from parexec_tui.text.error_line import TERMINATED
        from parexec_tui.text.log_text import line_text  # rich, which `parexec status` does not need

        lines = output.tail(_TAIL_BYTES).split(b"\n")
    except (OSError, ImportError):  # for want of descriptors
        return []
    shown = filter(str.strip, (line_text(final_state(line)).rstrip()[:_LONGEST_LINE] for line in reversed(lines)))
    last = islice(shown, limit + 1)
    found = [line for number, line in enumerate(last) if number or TERMINATED.fullmatch(line) is None]
    return found[:limit][::-1]
