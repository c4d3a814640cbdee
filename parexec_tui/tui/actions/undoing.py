"""Undo: the list of what was done, and taking back more than the last of it."""

from collections.abc import Sequence

from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire import requests as rq
from parexec_tui.text.words import ago, printable
from parexec_tui.tui.actions.asking import is_of_others, send
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.dialogs.dialog import Confirm


def show_undo_list(context: ActionContext) -> None:
    """Show what was done; then take back what the person chooses, with all that is newer."""
    from parexec_tui.tui.dialogs.undo_list import UndoList

    def chosen(actions: Sequence[ev.OperatorActed] | None) -> None:
        if not actions:
            return
        others = [action for action in actions if is_of_others(context, action)]
        if not others:
            take_back(actions)  # the list has shown what it means
            return
        names = listed(dict.fromkeys(printable(action.by) for action in others), limit=3)
        lines = [printable(f"{action.text}, {ago(context.view.now - action.at)}") for action in others]

        def answered(yes: bool | None) -> None:
            if yes:
                take_back(actions)

        context.open(Confirm(context.view, f"undo what {names} did?", "", lines, yes="do it"), answered)

    def take_back(actions: Sequence[ev.OperatorActed]) -> None:
        if len(actions) == 1:
            send(context, _undo(actions[0]))
        else:
            context.app.in_background(_take_back(context, actions))

    context.open(UndoList(context.view, context.cannot_steer), chosen)


async def _take_back(context: ActionContext, actions: Sequence[ev.OperatorActed]) -> None:
    """Take back these actions, the newest first, as far as that goes."""
    taken: list[str] = []
    for action in actions:
        answer = await context.app.ask(_undo(action))
        if isinstance(answer, str):
            context.say(printable(f"took back {len(taken)} of {len(actions)}: {answer}"), "bad")
            return
        taken.append(action.text)
    context.say(printable(f"done: took back {listed(taken, limit=5)}"), "good")


def _undo(action: ev.OperatorActed) -> rq.Undo:
    """Take back this action, and no other that somebody has done since the list was read."""
    return rq.Undo(at=action.at, text=action.text)
