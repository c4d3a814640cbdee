"""Values come from tickets that are needed."""

from collections.abc import Iterator

from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.units import shown
from parexec_tui.core.plan.values import texts_with_values, wanted_by


def values_are_needed(draft: Draft) -> Iterator[Fault]:
    families = {ticket.family for ticket in draft.tickets.values() if ticket.family}
    for id_, ticket in draft.tickets.items():
        for path, text in texts_with_values(ticket):
            for wanted in wanted_by(text):
                if wanted.ticket in draft.tickets and wanted.ticket not in ticket.waits:
                    hint = f"write needs = [{shown(wanted.ticket)}]" if wanted.ticket != id_ else ""
                    what = f"{{{wanted.ticket}.{wanted.key}}} is told by a ticket that it does not need"
                    yield Fault(draft.place(id_, *path), what, hint)
                elif (other := draft.tickets.get(wanted.ticket)) is not None and (other.if_done or other.skip_if):
                    what = f"{wanted.ticket} may count as done without being run, and then tells no {wanted.key}"
                    yield Fault(draft.place(id_, *path), what, "leave out its if_done and skip_if")
                elif wanted.ticket in families and wanted.ticket not in draft.tickets:
                    what = f"{{{wanted.ticket}.{wanted.key}}} names a family, of which each ticket has values"
                    yield Fault(draft.place(id_, *path), what, f"name one of them: {{{wanted.ticket}-...}}")
