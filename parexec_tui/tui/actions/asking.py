"""How a request gets to the engine: the person confirms what ends work, and the footer says what came of it."""

import asyncio

from parexec_tui.core.rules.wording import wording
from parexec_tui.core.state import events as ev
from parexec_tui.core.wire.requests import AnyRequest, Drain, Stop
from parexec_tui.text.words import printable
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.dialogs.dialog import Confirm
from parexec_tui.tui.view.outlook import Outlook, outlook
from parexec_tui.tui.view.view_state import Change

LATE = 2.0
"""Seconds after which the footer says that the engine has not answered yet."""


def propose(context: ActionContext, request: AnyRequest, found: Outlook | None = None) -> None:
    """Send a request, once the person has confirmed it where it ends work. Say so if it would be refused.

    `found`: what would come of it, where that is known already.
    """
    if found is None:
        found = outlook(context.state, request, context.view.now)
    if found.refusal is not None:
        context.say(str(found.refusal), "bad")
    elif found.stops or _ends_session(request):

        def answered(yes: bool | None) -> None:
            if yes:
                send(context, request)

        heading = f"{wording(request)}?"
        context.open(Confirm(context.view, heading, found.cost, found.details, yes="do it"), answered)
    else:
        send(context, request)


def send(context: ActionContext, request: AnyRequest) -> None:
    """Send a request to the engine, and say what came of it."""
    context.app.in_background(_send(context, request))


async def _send(context: ActionContext, request: AnyRequest) -> None:
    text = printable(wording(request))
    late = asyncio.get_running_loop().call_later(LATE, context.say, f"{text}: no answer yet", "warn")
    try:
        answer = await context.app.ask(request)
    finally:
        late.cancel()
    if isinstance(answer, str):
        context.say(f"{text}: {answer}", "bad")
    elif answer:
        acted = next((event for event in answer if isinstance(event, ev.OperatorActed)), None)
        done = text if acted is None else printable(acted.text)
        if acted is not None and acted.left_out:
            context.say(f"done: {done}; left out: {printable('; '.join(acted.left_out))}", "warn")
        else:
            context.say(f"done: {done}", "good")
        context.view.marks.clear()
        context.screen.schedule_draw(Change.selection)
    else:
        context.say(f"so already: {text}")


def _ends_session(request: AnyRequest) -> bool:
    return isinstance(request, Stop) or (isinstance(request, Drain) and request.is_session)
