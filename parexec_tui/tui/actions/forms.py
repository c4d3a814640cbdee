"""The forms that keys open, and for which tickets each can be opened."""

from collections.abc import Sequence

from parexec_tui.core.rules.answers import first_refusal
from parexec_tui.core.rules.verbs.answer import refused_words
from parexec_tui.core.rules.verbs.merge import refused_merges
from parexec_tui.core.rules.verbs.reassign import cannot_reassign
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.status import SATISFIED
from parexec_tui.core.wire.requests import AnswerAgent, AnyRequest, Merge, Refusal
from parexec_tui.tui.actions import steering
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.actions.perform import Ask, OpenForm
from parexec_tui.tui.actions.tickets import MAX_DIFF
from parexec_tui.tui.dialogs.dialog import Dialog
from parexec_tui.tui.view.targets import Targets


def _retry_form(context: ActionContext, tickets: Sequence[str]) -> Dialog[AnyRequest]:
    from parexec_tui.tui.dialogs.retry import RetryForm

    return RetryForm(context.view, tickets)


def _reassign_form(context: ActionContext, tickets: Sequence[str]) -> Dialog[AnyRequest]:
    from parexec_tui.tui.dialogs.reassign import ReassignDialog

    return ReassignDialog(context.view, tickets)


def _edit_form(context: ActionContext, tickets: Sequence[str]) -> Dialog[AnyRequest]:
    from parexec_tui.tui.dialogs.edit import EditForm

    return EditForm(context.view, tickets)


def _reject_form(context: ActionContext, tickets: Sequence[str]) -> Dialog[AnyRequest]:
    from parexec_tui.tui.dialogs.reject import RejectForm

    return RejectForm(context.view, tickets)


def _answer_form(context: ActionContext, tickets: Sequence[str]) -> Dialog[AnyRequest]:
    from parexec_tui.tui.dialogs.answer import AnswerForm

    return AnswerForm(context.view, tickets)


def cannot_answer(state: SessionState, targets: Targets, _: float) -> Refusal | None:
    """Why the tickets cannot be answered, whatever a person says; None if they can."""
    tickets = steering.tickets_of(state, targets)
    if isinstance(tickets, Refusal):
        return tickets
    return first_refusal(refused_words(state, AnswerAgent(tickets=tickets, answer="no")))


def _conflict_form(context: ActionContext, tickets: Sequence[str]) -> Dialog[AnyRequest]:
    from parexec_tui.tui.dialogs.conflict import ConflictDialog

    return ConflictDialog(
        context.view, tickets[0], lambda: context.app.diff(context.state, tickets[0], MAX_DIFF, sides=True)
    )


def cannot_reassign_any(state: SessionState, targets: Targets, _: float) -> Refusal | None:
    """Why not all of the tickets can be given to another agent; None if they can."""
    tickets = steering.tickets_of(state, targets)
    if isinstance(tickets, Refusal):
        return tickets
    refusals = (cannot_reassign(state.tickets[id_]) for id_ in tickets)
    return next((refusal for refusal in refusals if refusal is not None), None)


def cannot_edit(state: SessionState, targets: Targets, _: float) -> Refusal | None:
    """Why the tickets cannot be edited; None if it is one ticket that is not running and has not succeeded."""
    if not targets.tickets:
        return steering.NO_TICKET
    if len(targets.tickets) > 1:
        return Refusal("several tickets are marked", "one at a time can be edited: esc takes the marks away")
    ticket = state.tickets[targets.tickets[0]]
    if ticket.is_live:
        return Refusal(f"{ticket.id} {ticket.stands}", "it can be changed when it is not running")
    if ticket.status in SATISFIED:
        return Refusal(f"{ticket.id} has {ticket.status}", "retry it with changes: R")
    return None


def cannot_decide(state: SessionState, targets: Targets, _: float) -> Refusal | None:
    """Why nobody can decide on a conflict of the tickets; None if it is one ticket that waits for that."""
    if not targets.tickets:
        return steering.NO_TICKET
    if len(targets.tickets) > 1:
        return Refusal("several tickets are marked", "one conflict at a time is shown: esc takes the marks away")
    refused = next(refused_merges(state, Merge(tickets=targets.tickets[:1])), None)
    return refused.refusal if refused is not None else None


RETRY = OpenForm(_retry_form, Ask(steering.retry).refusal)
REASSIGN = OpenForm(_reassign_form, cannot_reassign_any)
ANSWER = OpenForm(_answer_form, cannot_answer)
REJECT = OpenForm(_reject_form, Ask(steering.reject).refusal)
CONFLICT = OpenForm(_conflict_form, cannot_decide)
EDIT = OpenForm(_edit_form, cannot_edit)
