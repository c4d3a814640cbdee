"""What `when` says can be read, and names what is known."""

from collections.abc import Iterator

from parexec_tui.core.plan.reading.faults import Fault, Hints
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.reading.rules.values import value_is_told
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown
from parexec_tui.core.plan.wanted import STATUS, known_look, known_value, told_by
from parexec_tui.core.plan.when import UnknownError, WhenError, answer, names_in


def when_can_be_answered(draft: Draft) -> Iterator[Fault]:
    families: set[str] | None = None
    for id_, ticket in draft.tickets.items():
        if not ticket.when:
            continue
        if families is None:
            families = {each.family for each in draft.tickets.values() if each.family}
        place = draft.place(id_, "when")
        try:
            names = names_in(ticket.when)
        except WhenError as error:
            yield Fault(place, f"cannot be read: {error}", error.hint)
            continue
        unknown = [fault for name in names for fault in _wrong_name(draft, id_, ticket, name, families)]
        yield from (fault._replace(path=place) for fault in unknown)
        if not unknown:
            try:
                answer(ticket.when, known_look(ticket, draft.variables))
            except UnknownError:
                pass
            except WhenError as error:
                yield Fault(place, f"has no answer: {error}", error.hint)


def _wrong_name(draft: Draft, id_: str, ticket: Ticket, name: str, families: set[str]) -> Iterator[Fault]:
    if known_value(ticket, draft.variables, name) is not None:
        return
    wanted = told_by(name)
    if wanted is None or (wanted.ticket not in draft.tickets and wanted.ticket not in families):
        waits = (f"{need}.{STATUS}" for need in ticket.waits)
        hint = Hints([*ticket.when_values, *ticket.member, *draft.variables, *waits]).of(name)
        what = f"there is no {shown(name)}: it is no variable, and no value of a ticket"
        yield Fault((), what, hint or "a text stands in quotes: 'debian'")
        return
    for fault in value_is_told(draft, id_, (), wanted, name, families):
        if wanted.key != STATUS or "may count as done" not in fault.message:
            yield fault
