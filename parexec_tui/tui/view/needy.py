"""Going from one need of a person to the next: first to what the banner names, then in the order of the needs."""

from collections.abc import Callable, Iterable, Sequence

from parexec_tui.core.rules.attention import Need, Subject
from parexec_tui.text.banner import Piece
from parexec_tui.tui.view.view_state import ViewState

_PLACES = ("ticket", "agent", "type", "service", "host", "remote")


def first_subject(pieces: Iterable[Piece]) -> Subject | None:
    """What the banner names first of that which can be gone to."""
    subjects = (piece.subject for piece in pieces)
    return next((subject for subject in subjects if subject is not None and subject.kind in _PLACES), None)


def goes_to_first(view: ViewState, first: Subject | None, is_at: Callable[[Subject], bool]) -> bool:
    """Whether the next step goes to what the banner names, from wherever the person is.

    `is_at`: whether the person is at a subject, as far as one can be there.
    """
    if first is None or is_at(first):
        return False
    visited = view.visited_need
    return visited is None or view.visited_first != first or not is_at(visited)


def in_order(needs: Iterable[Need], first: Subject | None) -> list[Need]:
    """The needs in the order in which they are gone to."""
    return sorted(needs, key=lambda need: need.subject != first)


def next_need(view: ViewState, needs: Sequence[Need], first: Subject | None, is_at: Callable[[Subject], bool]) -> int:
    """The index of the need to go to, among those that `in_order` gives. `is_at` as for `goes_to_first`."""
    subjects = [need.subject for need in needs]
    if goes_to_first(view, first, is_at):
        return 0
    visited = view.visited_need
    if visited is None or not is_at(visited):
        visited = Subject("ticket", view.selected)
    return (subjects.index(visited) + 1) % len(subjects) if visited in subjects else 0
