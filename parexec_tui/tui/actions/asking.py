"""How a request gets to the engine: the person confirms what loses something, and the footer says what came of it."""

import asyncio
from collections.abc import Iterable, Sequence

from parexec_tui.core.rules.decide import decide
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.rules.preview import preview
from parexec_tui.core.rules.verbs.rollback import lost_by, restored_by
from parexec_tui.core.rules.verbs.undo import next_undo
from parexec_tui.core.rules.wording import wording
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.events import OperatorActed
from parexec_tui.core.state.undo import PutTicketsBack
from parexec_tui.core.wire.requests import AnyRequest, Drain, Refusal, Rollback, Stop, Undo
from parexec_tui.text.words import ago, printable
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.actions.effect import effect_of
from parexec_tui.tui.dialogs.dialog import Confirm
from parexec_tui.tui.view.outlook import Outlook, outlook

LATE = 2.0
"""Seconds after which the footer says that the engine has not answered yet."""


def propose(context: ActionContext, request: AnyRequest, found: Outlook | None = None) -> None:
    """Send a request, once the person has confirmed it where it ends work or others can then no longer run. Say so if
    it would be refused.

    `found`: what would come of it, where that is known already.
    """
    if found is None:
        found = outlook(context.state, request, context.view.now)
    if found.refusal is not None:
        context.say(str(found.refusal), "bad")
        return
    if isinstance(request, Rollback):
        context.app.in_background(_propose_rollback(context, request, found))
        return
    undone, passed = _not_meant_for_sure(context, request)
    if undone is not None or found.stops or found.skips or _ends_session(request):
        heading, first = f"{wording(request)}?", list[str]()
        if undone is not None:
            whose = f"what {undone.by} did" if is_of_others(context, undone) else "what is older"
            heading = f"undo {printable(whose)}?"
            first = [f"{undone.text}, {ago(context.view.now - undone.at)}", *passed]
            first = [printable(line) for line in first]
            request = Undo(at=undone.at, text=undone.text)  # that and no other, whatever they do meanwhile
        asked = request
        effect: list[str] = []

        def look() -> tuple[str, Iterable[str]] | Refusal:
            present = outlook(context.state, asked, context.view.now)
            return present.refusal or (present.cost, [*first, *present.details, *effect])

        def answered(yes: bool | None) -> None:
            if yes:
                send(context, asked)

        dialog = Confirm(context.view, heading, found.cost, [*first, *found.details], yes="do it", look=look)
        context.open(dialog, answered)
        context.app.in_background(_tell_effect(context, asked, dialog, effect))
    else:
        send(context, request)


async def _tell_effect(context: ActionContext, request: AnyRequest, dialog: Confirm, effect: list[str]) -> None:
    """Add to what a dialog says what the request would do to the end of the session, once that is known."""
    if text := await effect_of(context, request):
        effect.append(text)
        dialog.look_again()


async def _propose_rollback(context: ActionContext, request: Rollback, found: Outlook) -> None:
    """Say which files others have changed since, and ask: it overwrites files, and no undo takes it back."""
    granted, _ = narrow(context.state, request)
    keys = restored_by(context.state, granted) if isinstance(granted, Rollback) else ()
    lost = lost_by(request, await context.app.changed_since(keys)) if keys else ""
    if isinstance(lost, Refusal):
        context.say(printable(str(lost)), "bad")
        return

    def details(lines: Iterable[str]) -> list[str]:
        return [*((printable(lost),) if lost else ()), *lines]

    def look() -> tuple[str, Iterable[str]] | Refusal:
        present = outlook(context.state, request, context.view.now)
        return present.refusal or (present.cost, details(present.details))

    def answered(yes: bool | None) -> None:
        if yes:
            send(context, request)

    heading = f"{wording(request)}?"
    dialog = Confirm(context.view, heading, found.cost, details(found.details), yes="do it", look=look)
    context.open(dialog, answered)


def _not_meant_for_sure(context: ActionContext, request: AnyRequest) -> tuple[OperatorActed | None, Sequence[str]]:
    """What an undo would take back, if somebody else did it, or if it is not the last thing that was done; and why it
    is too late for what came after it."""
    if not isinstance(request, Undo):
        return None, ()
    found, passed = next_undo(context.state, context.view.now)
    is_in_doubt = found is not None and (passed or is_of_others(context, found))
    return (found, passed) if is_in_doubt else (None, ())


def is_of_others(context: ActionContext, action: OperatorActed) -> bool:
    """Whether another person did it."""
    return action.by not in ("", context.view.me)


def send(context: ActionContext, request: AnyRequest) -> None:
    """Send a request to the engine, and say what came of it."""
    context.app.in_background(_send(context, request))


async def _send(context: ActionContext, request: AnyRequest) -> None:
    text = printable(wording(request))
    # Before it is asked: the events may be applied here before the answer comes.
    besides, effect = _besides(context, request), asyncio.ensure_future(effect_of(context, request))
    await asyncio.sleep(0)  # so that it has its copy of the session
    late = asyncio.get_running_loop().call_later(LATE, context.say, f"{text}: no answer yet", "warn")
    try:
        answer = await context.app.ask(request)
    finally:
        late.cancel()
    if isinstance(answer, str):
        context.say(f"{text}: {answer}", "bad")
    elif answer:
        _say_what_came_of_it(context, answer, text, besides, await effect)
    else:
        context.say(f"so already: {text}")
    effect.cancel()


def _say_what_came_of_it(
    context: ActionContext, answer: Sequence[ev.AnyEvent], text: str, besides: str, effect: str
) -> None:
    acted = next((event for event in answer if isinstance(event, OperatorActed)), None)
    effects = [effect] if effect else []
    if acted is None:
        context.say("; ".join([f"done: {text}", *effects]), "good")
        return
    parts = [f"done: {acted.text}", *effects]
    if besides and acted.inverse:
        until = " until it starts" if _is_for_a_start(acted) else ""
        parts.append(f"{besides}, {context.screen.keymap.hint('undo')} takes it back{until}")
    elif besides:
        parts.append(besides)
        if acted.why_final:
            parts.append(f"cannot be taken back: {acted.why_final}")
    if acted.left_out:
        parts.append(f"left out: {'; '.join(acted.left_out)}")
    context.say(printable("; ".join(parts)), "warn" if acted.left_out else "good")


def _is_for_a_start(acted: OperatorActed) -> bool:
    """Whether it made tickets ready to start, and can be taken back only as long as they have not started."""
    return any(isinstance(step, PutTicketsBack) and step.since != "cancelled" for step in acted.inverse)


def _besides(context: ActionContext, request: AnyRequest) -> str:
    """What else a request will change than what it names."""
    live = context.view.live
    if live is None:
        return ""
    narrowed, _ = narrow(live, request)
    answer = decide(live, narrowed, context.view.now)
    if isinstance(answer, Refusal):
        return ""
    named = {name for field in ("tickets", "agents") for name in getattr(request, field, ())}
    return ", ".join(preview(live, answer).besides(named))


def _ends_session(request: AnyRequest) -> bool:
    return isinstance(request, Stop) or (isinstance(request, Drain) and request.is_session)
