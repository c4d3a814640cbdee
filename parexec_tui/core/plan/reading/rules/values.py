"""Values come from tickets that are needed."""

from collections.abc import Collection, Iterator

from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.units import shown
from parexec_tui.core.plan.values import Wanted, texts_with_values, wanted_by


def values_are_needed(draft: Draft) -> Iterator[Fault]:
    families = {ticket.family for ticket in draft.tickets.values() if ticket.family}
    for id_, ticket in draft.tickets.items():
        for path, text in texts_with_values(ticket):
            for wanted in wanted_by(text):
                said = f"{{{wanted.ticket}.{wanted.key}}}"
                yield from value_is_told(draft, id_, draft.place(id_, *path), wanted, said, families)


def value_is_told(
    draft: Draft, id_: str, place: Path, wanted: Wanted, said: str, families: Collection[str]
) -> Iterator[Fault]:
    """What is wrong where a ticket names a value of another one, as `said`."""
    if wanted.ticket in draft.tickets and wanted.ticket not in draft.tickets[id_].waits:
        hint = f"write needs = [{shown(wanted.ticket)}]" if wanted.ticket != id_ else ""
        yield Fault(place, f"{said} is told by a ticket that it does not need", hint)
    elif (other := draft.tickets.get(wanted.ticket)) is not None and (other.if_done or other.skip_if):
        what = f"{wanted.ticket} may count as done without being run, and then tells no {wanted.key}"
        yield Fault(place, what, "leave out its if_done and skip_if")
    elif wanted.ticket in families and wanted.ticket not in draft.tickets:
        a_member = said.replace(f"{wanted.ticket}.{wanted.key}", f"{wanted.ticket}-...", 1)
        yield Fault(place, f"{said} names a family, of which each ticket has values", f"name one of them: {a_member}")
