"""How a plan file differs from the plan of a session as it is now, and what would take the difference over."""

from collections.abc import Iterator

from msgspec import Struct

from parexec_tui.core.plan.gates import is_number
from parexec_tui.core.plan.model import TICKET_KEYS, Plan, Ticket, value_of
from parexec_tui.core.plan.waits import written_waits
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import LIVE, Status
from parexec_tui.core.state.tickets import TicketState
from parexec_tui.core.wire.requests import Amend

_TABLES = {
    "plan": "settings",
    "agents": "agents",
    "resources": "resources",
    "services": "services",
    "groups": "groups",
    "hooks": "hooks",
}
"""table of a plan file: the field of the plan that holds it"""


class Difference(Struct, frozen=True, kw_only=True):
    """What differs."""

    added: dict[str, Ticket]
    changed: dict[str, Ticket]
    dropped: tuple[str, ...]
    rerun: tuple[str, ...]
    """Changed tickets that are over and would run again with their changes."""
    too_late: dict[str, str]
    """ticket: why it is left as it is, although it is changed or dropped."""
    done: tuple[str, ...]
    """Those of them that have succeeded: they could run again with their changes."""
    keys: dict[str, tuple[str, ...]]
    """changed ticket: its keys that differ."""
    elsewhere: tuple[str, ...]
    """Other tables of the file that differ; they take effect in the next session."""

    @property
    def is_empty(self) -> bool:
        """Whether nothing can be taken over."""
        return not (self.added or self.changed or self.dropped)

    @property
    def has_tickets(self) -> bool:
        """Whether any ticket differs, also if that cannot be taken over."""
        return not self.is_empty or bool(self.too_late)

    @property
    def request(self) -> Amend:
        """The request that takes it over."""
        return Amend(added=self.added, changed=self.changed, dropped=self.dropped, rerun=self.rerun)

    def lines(self) -> Iterator[str]:
        """A line for each ticket and table that differs."""
        for id_, spec in self.added.items():
            yield f"+ {id_}  {written_waits(spec)}".rstrip()
        for id_ in self.changed:
            again = "; runs again" if id_ in self.rerun else ""
            yield f"~ {id_}  {', '.join(self.keys[id_])}{again}"
        for id_ in self.dropped:
            yield f"- {id_}"
        for id_, why in self.too_late.items():
            yield f"! {id_}  stays as it is: {why}"
        for table in self.elsewhere:
            yield f"! [{table}] differs too: that is for the next session"


def compare(state: SessionState, plan: Plan, *, rerun: bool = False) -> Difference:
    """What would change if this were the plan.

    A changed ticket that failed runs again; one that has succeeded only with `rerun`, else it stays as it is.
    """
    now = state.plan
    changed = {id_: spec for id_, spec in plan.tickets.items() if id_ in now.tickets and spec != now.tickets[id_]}
    dropped = [id_ for id_ in now.tickets if id_ not in plan.tickets]
    done = () if rerun else tuple(id_ for id_ in changed if state.tickets[id_].status is Status.succeeded)
    too_late = dict.fromkeys(done, "changed in the file, but it is done")
    for id_ in (*changed, *dropped):
        what = "changed" if id_ in changed else "dropped"
        if state.tickets[id_].status in LIVE:
            too_late[id_] = f"{what} in the file, but it is running"
        elif state.tickets[id_].status is Status.approval:
            too_late[id_] = f"{what} in the file, but it has run and waits for approval"
        elif id_ in changed and state.tickets[id_].status is Status.waived:
            too_late[id_] = "changed in the file, but somebody waived it"
    keep = {need for id_ in too_late for need in now.tickets[id_].waits}
    for id_ in dropped:
        if id_ in keep and id_ not in too_late:
            too_late[id_] = "dropped in the file, but needed by what stays"
    taken = {id_: spec for id_, spec in changed.items() if id_ not in too_late}
    return Difference(
        added={id_: spec for id_, spec in plan.tickets.items() if id_ not in now.tickets},
        changed=taken,
        dropped=tuple(id_ for id_ in dropped if id_ not in too_late),
        rerun=tuple(id_ for id_ in taken if _can_run_again(state.tickets[id_])),
        too_late=too_late,
        done=done,
        keys={id_: tuple(_differing(now.tickets[id_], spec)) for id_, spec in changed.items()},
        elsewhere=tuple(_differing_tables(plan, now)),
    )


def _differing_tables(plan: Plan, now: Plan) -> Iterator[str]:
    """The tables in which two plans differ, other than those of tickets: `plan`, `groups.3`."""
    for table, name in _TABLES.items():
        new, old = getattr(plan, name), getattr(now, name)
        if table == "groups":
            differing = (group for group in {**old, **new} if old.get(group) != new.get(group))
            yield from (f"group{'s' if is_number(group) else ''}.{group}" for group in differing)
        elif new != old:
            yield table


def _can_run_again(ticket: TicketState) -> bool:
    return ticket.status in (Status.succeeded, Status.failed) and not ticket.lost


def _differing(old: Ticket, new: Ticket) -> Iterator[str]:
    return (key for key in TICKET_KEYS if value_of(old, key) != value_of(new, key))
