"""What a person types behind `/`: words that a ticket must have, and selectors as everywhere else.

yaml front          both words stand in its id or title; case does not matter
!draft              the word stands in neither
status:failed       and all other selectors of `core.wire.selectors`: agent: group: priority: type:
claim:src/          of what it reads, writes, locks or uses, one begins with it or has it within
"""

from collections.abc import Callable, Iterable

from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.selectors import SelectorError, filter_of

TicketTest = Callable[[TicketState], bool]


def compile_filter(state: SessionState, text: str) -> TicketTest | None:
    """The test that the words of a filter make together; None for no words. Raises SelectorError."""
    tests = [_test(state, word) for word in text.split()]
    if not tests:
        return None
    if len(tests) == 1:
        return tests[0]
    return lambda ticket: all(test(ticket) for test in tests)


def _test(state: SessionState, word: str) -> TicketTest:
    positive = word.removeprefix("!")
    if not positive:
        raise SelectorError("'!' stands before a word, as in !draft")
    test = _positive(state, positive)
    return test if positive == word else lambda ticket: not test(ticket)


def _positive(state: SessionState, word: str) -> TicketTest:
    key, colon, value = word.partition(":")
    if colon and key == "claim":
        return _claims(value.lower())
    if colon:
        return filter_of(state, key, value)
    folded = word.lower()
    return lambda ticket: folded in ticket.id.lower() or folded in ticket.spec.title.lower()


def _claims(value: str) -> TicketTest:
    if not value:
        raise SelectorError("say what is claimed: claim:src/")
    return lambda ticket: any(value in claim.lower() for claim in _claimed(ticket))


def _claimed(ticket: TicketState) -> Iterable[str]:
    spec = ticket.spec
    return (*spec.reads, *spec.all_writes, *spec.locks, *spec.uses)
