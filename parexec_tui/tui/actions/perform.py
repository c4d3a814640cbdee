"""Carries out an action of the table, or says why it cannot be done now."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from parexec_tui.core.rules.decide import refusal as rules_refusal
from parexec_tui.core.rules.narrow import narrow
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.wire.requests import AnyRequest, Refusal, Release, Thaw
from parexec_tui.tui.actions.asking import propose, send
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.dialogs.dialog import Dialog
from parexec_tui.tui.input.keymap import SESSION, Action, Keymap
from parexec_tui.tui.view.targets import Targets, in_plan_order
from parexec_tui.tui.view.view_state import Change

MAX_CHECKED = 20
"""The most targets that are checked to dim a key and to name it: each frame checks each key that it shows."""

Function = Callable[[ActionContext], None]
"""Does something on the screen."""

RequestBuilder = Callable[[SessionState, Targets], AnyRequest | Refusal]
"""Makes the request for some targets; a refusal if the targets have nothing for such a request."""


class KeyFunction(NamedTuple):
    """Does something on the screen that depends on which of its keys was pressed."""

    function: Callable[[ActionContext, str], None]


class Toggle(NamedTuple):
    """Changes something on the screen, and back."""

    function: Function
    goes_back: Callable[[ActionContext], bool]
    """Whether it would change it back now."""


class Ask(NamedTuple):
    """Asks the engine for something."""

    build: RequestBuilder

    def refusal(self, state: SessionState, targets: Targets, now: float) -> Refusal | None:
        """Why the request would be refused, if so."""
        request = self.build(state, targets)
        if isinstance(request, Refusal):
            return request
        return rules_refusal(state, narrow(state, request).request, now)


class OpenForm(NamedTuple):
    """Opens a dialog about tickets that makes a request and shows what it would mean."""

    form: Callable[[ActionContext, Sequence[str]], Dialog[AnyRequest]]
    refusal: Callable[[SessionState, Targets, float], Refusal | None]
    """Why the form would be of no use for these targets, if so."""


ActionHandler = Function | KeyFunction | Toggle | Ask | OpenForm
TableAction = Action[ActionHandler]
TableKeymap = Keymap[ActionHandler]


def steers(action: TableAction) -> bool:
    """Whether an action asks the engine for something. Its key is dim while the engine would refuse."""
    return isinstance(action.handler, Ask | OpenForm)


def may(context: ActionContext, action: TableAction) -> bool:
    """Whether an action may be carried out now, if its targets allow it."""
    if action.name == "take-over":
        return context.view.may_take_over
    return not steers(action) or context.cannot_steer(restarts=action.restarts) is None


def perform(context: ActionContext, action: TableAction, key: str = "", targets: Targets | None = None) -> None:
    """Carry out an action. `key`: which of its keys was pressed. `targets`: what it is about, where that is not what
    is marked or selected."""
    screen, view = context.screen, context.view
    screen.clear_message()
    if view.state is None and action.section != SESSION:
        context.say("the session is not read yet", "warn")
        return
    selected = view.selected
    match action.handler:
        case Ask(build):
            if not _is_refused(context, context.cannot_steer(restarts=action.restarts)):
                _ask(context, build, targets or _targets(context))
        case OpenForm():
            if not _is_refused(context, refusal(context, action, targets=targets)):
                _open_form(context, action.handler, targets or _targets(context))
        case KeyFunction(function):
            function(context, key)
        case Toggle(function):
            function(context)
            screen.footer.refresh()
        case function:
            function(context)
    screen.draw_now(Change.selection if view.selected != selected else Change.nothing)


def refusal(
    context: ActionContext, action: TableAction, max_targets: int | None = None, targets: Targets | None = None
) -> Refusal | None:
    """Why an action would be refused now, if so. `max_targets`: check no more of the marks than this. `targets` as
    for `perform`."""
    if not isinstance(action.handler, Ask | OpenForm):
        return None
    if (refused := context.cannot_steer(restarts=action.restarts)) is not None:
        return refused
    return action.handler.refusal(context.state, targets or _targets(context, max_targets), context.view.now)


def is_dim(context: ActionContext, action: TableAction) -> bool:
    """Whether the footer shows an action as one that would be refused."""
    return refusal(context, action, MAX_CHECKED) is not None


def label(context: ActionContext, action: TableAction) -> str:
    """What the key of an action would do now, in a word or two. Of more marks than are checked, both of its ways."""
    if context.view.state is not None and action.of_service and _targets(context, 1).service:
        return action.of_service
    if not action.back or context.view.state is None:
        return action.label
    match action.handler:
        case Toggle(_, goes_back):
            is_back = goes_back(context)
        case Ask(build):
            targets = _targets(context, MAX_CHECKED + 1)
            request = build(context.state, targets)
            if len(targets.tickets) > MAX_CHECKED and bool(getattr(request, "tickets", False)):
                return f"{action.label}/{action.back}"
            is_back = isinstance(request, Release | Thaw)
        case _:
            return action.label
    return action.back if is_back else action.label


def _is_refused(context: ActionContext, refused: Refusal | None) -> bool:
    if refused is not None:
        context.say(str(refused), "bad")
    return refused is not None


def _targets(context: ActionContext, max_targets: int | None = None) -> Targets:
    targets = context.screen.targets(max_targets)
    return targets._replace(tickets=in_plan_order(context.state, targets.tickets))


def _ask(context: ActionContext, build: RequestBuilder, targets: Targets) -> None:
    request = build(context.state, targets)
    if isinstance(request, Refusal):
        context.say(str(request), "bad")
    else:
        propose(context, request)


def _open_form(context: ActionContext, handler: OpenForm, targets: Targets) -> None:
    def made(request: AnyRequest | None) -> None:
        if request is not None:
            send(context, request)  # the form has shown what it means

    if tickets := _tickets_of(context, targets):
        context.open(handler.form(context, tickets), made)


def _tickets_of(context: ActionContext, targets: Targets) -> tuple[str, ...]:
    """The tickets for a form; of an agent, the one that it runs."""
    if not targets.agent:
        return targets.tickets
    runs = context.state.agents[targets.agent].ticket
    return (runs,) if runs else ()
