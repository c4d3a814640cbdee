"""What coding agents asked while no engine was there to hear it: they go on without one, and so can their answers."""

from contextlib import suppress

from msgspec import structs

from parexec_tui.core.rules.reports import on_report
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.accounts import is_coded
from parexec_tui.core.state.apply import apply
from parexec_tui.core.state.process_key import RUN, ProcessKey
from parexec_tui.core.state.session import SessionState
from parexec_tui.engine.agent_facts import Followed
from parexec_tui.paths import session_folder


def hear(state: SessionState, now: float) -> list[ev.AnyEvent]:
    """Apply to a session without an engine what its agents have told since it had one, and return these events.

    They are what the next engine would find out. It costs a read of the facts of each coding agent that worked.
    """
    if not state.has_coding or state.gone is None:
        return []
    folder, heard = session_folder(state.session), list[ev.AnyEvent]()
    for ticket in list(state.live.values()):
        if ticket.live_attempt.step != RUN or not is_coded(state, ticket):
            continue
        key = ProcessKey(ticket.id, ticket.attempts)
        followed = Followed(key, folder.of_agent(key).facts)
        with suppress(OSError):  # it is not there yet, or not any more
            followed.read_all()
        said = structs.replace(followed.said, question="", asks="") if followed.is_over else followed.said
        for event in on_report(state, said, now):
            apply(state, event)
            heard.append(event)
    return heard
