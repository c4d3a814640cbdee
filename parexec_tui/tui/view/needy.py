"""Going from one need of a person to the next: first to what the banner names, then in the order of the needs."""

from collections.abc import Iterable, Sequence

from parexec_tui.core.rules.attention import Need, Subject
from parexec_tui.text.banner import Piece
from parexec_tui.tui.view.view_state import ViewState


def lead_of(pieces: Iterable[Piece]) -> Subject | None:
    """The ticket or agent that the banner names first."""
    subjects = (piece.subject for piece in pieces)
    return next(
        (subject for subject in subjects if subject is not None and subject.kind in ("ticket", "agent", "type")), None
    )


def goes_to_lead(view: ViewState, lead: Subject | None) -> bool:
    """Whether the next step goes to what the banner names, from wherever the person is."""
    if lead is None or _is_at(view, lead):
        return False
    visited = view.visited_need
    return visited is None or view.visited_lead != lead or not _is_at(view, visited)


def tour(needs: Iterable[Need], lead: Subject | None) -> list[Need]:
    """The needs in the order in which they are gone to."""
    return sorted(needs, key=lambda need: need.subject != lead)


def next_need(view: ViewState, needs: Sequence[Need], lead: Subject | None) -> int:
    """The index of the need to go to, among those of a tour."""
    subjects = [need.subject for need in needs]
    if goes_to_lead(view, lead):
        return 0
    visited = view.visited_need
    if visited is None or not _is_at(view, visited):
        visited = Subject("ticket", view.selected)
    return (subjects.index(visited) + 1) % len(subjects) if visited in subjects else 0


def _is_at(view: ViewState, subject: Subject) -> bool:
    """Whether the person is at a subject, as far as one can be there."""
    match subject.kind:
        case "ticket":
            return view.selected == subject.name
        case "agent":
            return view.agent == subject.name
        case "type":
            return view.agent_type == subject.name
        case "session" | "host" | "engine" | "end":
            return view.visited_need == subject
