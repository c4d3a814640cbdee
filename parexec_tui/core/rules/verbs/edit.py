"""edit: change keys of one ticket."""

from parexec_tui.core.plan.generated import naming_families
from parexec_tui.core.plan.reading.faults import did_you_mean
from parexec_tui.core.plan.ticket import EDITABLE_KEYS
from parexec_tui.core.rules.answers import Decision, refuse_unknown
from parexec_tui.core.rules.ticket_fields import revised
from parexec_tui.core.rules.verbs.amend import amend
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal


def edit(state: SessionState, asked: rq.Edit, now: float) -> Decision:
    if refusal := refuse_unknown(state, (asked.ticket,)):
        return refusal
    for key in asked.changes:
        if key not in EDITABLE_KEYS:
            return Refusal(f"a ticket has no key {key}", did_you_mean(key, EDITABLE_KEYS))
    spec = revised(asked.ticket, state.tickets[asked.ticket].spec, asked.changes)
    if isinstance(spec, Refusal):
        return spec
    if "needs" in asked.changes or "after" in asked.changes:
        spec = naming_families(spec, state.plan.tickets, state.generated_by)
    return amend(state, rq.Amend(by=asked.by, changed={asked.ticket: spec}), now)
