"""Looking at tickets: filter, sort, group and mark them, find those that need a person, ask why one waits."""

import sys
from typing import cast

from parexec_tui.core.plan.coding import types_of_account
from parexec_tui.core.rules.attention import needs, service_need
from parexec_tui.core.state.status import predicate
from parexec_tui.core.wire.selectors import SelectorError
from parexec_tui.text.banner import pieces
from parexec_tui.text.host_facts import host_fact
from parexec_tui.text.hosts import problem_text, slots_text, standing_text
from parexec_tui.text.services import service_text
from parexec_tui.text.words import printable
from parexec_tui.tui.actions.context import ActionContext
from parexec_tui.tui.panels.events import EventsPanel
from parexec_tui.tui.panels.graph import GraphPanel
from parexec_tui.tui.panels.tickets import TicketsPanel
from parexec_tui.tui.view.facts import idle_reason
from parexec_tui.tui.view.needy import first_subject, in_order, next_need
from parexec_tui.tui.view.ticket_list import Grouping
from parexec_tui.tui.view.view_state import Change


def talk(context: ActionContext) -> None:
    """Open the conversation of a coding agent in this terminal, until its CLI is left."""
    ticket = context.selected_ticket()
    if ticket is None:
        return
    command = "from parexec_tui.cli import main; main()"
    words = (sys.executable, "-P", "-c", command, "talk", ticket.id, "-s", context.state.session)
    code = context.app.lend_terminal(words)
    if code is None:
        context.say("there is no terminal to give to it", "bad")
    elif code:
        context.say(f"it ended with exit code {code}: parexec talk {ticket.id} says why", "bad")


def ask_for_filter(context: ActionContext) -> None:
    """Let the person type a filter for the events or the tickets; in the output, a text to search for."""
    screen = context.screen
    if screen.arrangement.current == "output":
        output = context.output_panel
        screen.prompt.ask("search", output.search, text=output.searched)
        return
    if screen.arrangement.current != "events":
        screen.switch_to("tickets")
    before = _filtered_panel(context).filter_text
    screen.prompt.ask(
        "filter",
        lambda text: _set_filter(context, text, error_style="bad"),
        text=before,
        typed=lambda text: _set_filter(context, text, error_style="warn"),
        left=lambda: _set_filter(context, before, error_style="warn"),
    )


def _filtered_panel(context: ActionContext) -> TicketsPanel | EventsPanel:
    if context.screen.arrangement.current == "events":
        return cast(EventsPanel, context.screen.current)
    return context.tickets_panel


def _set_filter(context: ActionContext, text: str, *, error_style: str) -> None:
    """Filter by a text. A text that is not a filter, perhaps not yet, changes nothing; the footer says why."""
    try:
        _filtered_panel(context).set_filter(text)
    except SelectorError as error:
        context.say(str(error), error_style)
    else:
        context.screen.clear_message()
    context.screen.draw_now(Change.selection)


def show_problems(context: ActionContext) -> None:
    context.screen.switch_to("tickets")
    context.tickets_panel.toggle_problems()


def shows_problems(context: ActionContext) -> bool:
    return context.tickets_panel.list.problems_only


def next_needing_attention(context: ActionContext) -> None:
    """Go to the next ticket or agent that needs the person. The footer says what needs them in the whole session."""
    first = first_subject(pieces(context.state))
    found = in_order(needs(context.state, context.view.me), first)
    if not found:
        context.say("nothing needs you", "good")
        return
    at = next_need(context.view, found, first, context.screen.is_at)
    need = found[at]
    context.view.visited_need, context.view.visited_first = need.subject, first
    match need.subject.kind:
        case "ticket":
            if context.screen.arrangement.current == "agents":
                context.screen.switch_to("tickets")
            context.view.selected = need.subject.name
            context.screen.schedule_draw(Change.selection)  # the cursor may be on a fold
            what = f"{need.subject.name}, {need.reason}" if need.is_asked_for else need.subject.name
        case "agent":
            context.screen.switch_to("agents")
            context.agents_panel.go_to_agent(need.subject.name)
            word = need.reason if need.is_asked_for else f"quarantined: {need.reason}"
            what = f"{need.subject.name} is {word}"
        case "type":
            context.screen.switch_to("agents")
            context.agents_panel.go_to_type(need.subject.name)
            what = f"agent type {need.subject.name} is {need.reason}"
        case "account" | "budget":
            context.screen.switch_to("agents")
            name = need.subject.name
            types = types_of_account(name, context.state.plan.agents) if need.subject.kind == "account" else (name,)
            if types[0]:
                context.agents_panel.go_to_type(types[0])
            what = need.reason
        case "service":
            context.screen.switch_to("agents")
            context.agents_panel.go_to_service(need.subject.name)
            what = f"service {need.subject.name} {'is ' if need.is_asked_for else ''}{need.reason}"
        case "host":
            context.screen.switch_to("gauges")
            what = f"host short of {need.subject.name}: {need.reason}; it goes on by itself once there is room"
        case "remote":
            context.screen.switch_to("agents")
            context.agents_panel.go_to_host(need.subject.name)
            what = f"host {need.subject.name} is {need.reason}"
        case "session":
            what = f"the session is {need.reason}"
        case "engine" | "end":
            what = f"no engine runs the session: {need.reason}"
    context.say(printable(f"{at + 1} of {len(found)} that need you: {what}"))


def why(context: ActionContext) -> None:
    """Say why the selected ticket is not running; of an agent, why it is idle, or what its ticket does; of a service
    or a host, how it stands.
    """
    from parexec_tui.tui.dialogs.why import WhyDialog
    from parexec_tui.tui.dialogs.why_text import Offer

    def act(offer: Offer) -> None:
        if offer.leads_to_output:
            (context.view.selected,) = offer.targets.tickets
            screen.switch_to("output")
            if problem := context.output_panel.last_error():
                context.say(problem)
        else:
            screen.perform(screen.keymap.of(offer.action), targets=offer.targets)

    screen = context.screen
    state, now = context.state, context.view.now
    targets = context.screen.targets()
    if (service := state.services.get(targets.service)) is not None:
        restart = f"; {screen.keymap.hint('retry')} restarts it" if service.retry_at or service_need(service) else ""
        thaw = f"; {screen.keymap.hint('freeze')} thaws it"
        said = service_text(state, service, now, context.view.me)
        ending = thaw if service.is_frozen else restart
        context.say(printable(f"service {service.name} {predicate(service.shown_status)}: {said}{ending}"))
        return
    if (host := state.hosts.get(targets.host)) is not None:
        fact = host_fact(state, host)
        said = problem_text(fact, now, context.view.me) or standing_text(fact, now, context.view.me)
        context.say(printable(said) if fact.problem else f"{host.name}: {said or slots_text(fact)}")
        return
    agent = state.agents.get(targets.agent)
    if agent is not None and agent.ticket is None:
        context.say(f"{agent.id} {predicate(agent.status)}: {idle_reason(state, agent, now, context.view.me)}")
        return
    ticket = state.tickets.get(agent.ticket) if agent is not None and agent.ticket else context.selected_ticket()
    if ticket is not None:
        context.open(WhyDialog(context.view, ticket.id, screen.keymap, act, screen.may))


MAX_DIFF = 5000
"""Lines of a diff that are shown."""


def diff(context: ActionContext) -> None:
    """Show what the selected ticket did in its worktree."""
    from parexec_tui.tui.dialogs.diff import DiffDialog

    ticket = context.selected_ticket()
    if ticket is None:
        return
    if ticket.id not in context.state.worktrees:
        context.say(f"{ticket.id} works in no worktree" if ticket.attempts else f"{ticket.id} has not run yet")
        return
    context.open(DiffDialog(context.view, ticket.id, lambda: context.app.diff(context.state, ticket.id, MAX_DIFF)))


def mark(context: ActionContext) -> None:
    """Mark the selected ticket or take its mark away, and move on."""
    if (ticket := context.selected_ticket()) is not None:
        context.view.marks ^= {ticket.id}
        context.screen.current.move(1)
        context.screen.schedule_draw(Change.selection)


def is_marked(context: ActionContext) -> bool:
    return context.view.selected in context.view.marks and context.screen.current.has_selected


def mark_shown(context: ActionContext) -> None:
    """Mark all tickets that the filter shows; if they are marked already, take their marks away."""
    view, shown = context.view, set(context.tickets_panel.list.tickets())
    if shown <= view.marks:
        view.marks -= shown
    else:
        view.marks |= shown
    context.screen.schedule_draw(Change.selection)


def has_marked_shown(context: ActionContext) -> bool:
    marks = context.view.marks
    return bool(marks) and all(id_ in marks for id_ in context.tickets_panel.list.tickets())


def sort(context: ActionContext) -> None:
    context.say(f"sorted by {context.tickets_panel.sort_next()}")


def sort_reverse(context: ActionContext) -> None:
    context.tickets_panel.reverse()


def group(context: ActionContext) -> None:
    context.say(GROUPED[context.tickets_panel.group_next()])


GROUPED: dict[Grouping, str] = {
    "attention": "what needs you first, then what runs; what else is over is folded",
    "family": "by family; h folds, l unfolds",
    "none": "in the order of the plan",
    "group": "by group; h folds, l unfolds",
    "status": "by status; h folds, l unfolds",
}


def next_running(context: ActionContext) -> None:
    _step_running(context, 1)


def previous_running(context: ActionContext) -> None:
    _step_running(context, -1)


def _step_running(context: ActionContext, by: int) -> None:
    """Select the next of the tickets that run, in the order of the table; those that a filter hides come after it."""
    view, rows = context.view, context.tickets_panel.list
    live = [id_ for id_, ticket in context.state.live.items() if not ticket.is_frozen]
    if not live:
        context.say("nothing runs now")
        return

    def place(id_: str) -> tuple[int, int]:
        at = rows.index(id_)
        order = context.state.tickets[id_].order
        return (0, at) if at is not None else (1, order)

    found = sorted(live, key=place)
    if view.selected in live:
        at = (found.index(view.selected) + by) % len(found)
    else:
        here = place(view.selected) if view.selected in context.state.tickets else (0, -1)
        below = sum(place(id_) < here for id_ in found)
        at = (below if by > 0 else below - 1) % len(found)
    view.selected = found[at]
    context.screen.schedule_draw(Change.selection)  # the cursor may be on a fold
    context.say(f"{at + 1} of {len(found)} that run: {view.selected}")


def fold_graph(context: ActionContext) -> None:
    is_folded = _graph(context).toggle_fold()
    context.say("what succeeded is folded" if is_folded else "all tickets are shown")


def graph_is_open(context: ActionContext) -> bool:
    return _graph(context).is_open


def switch_graph(context: ActionContext) -> None:
    _graph(context).toggle_view()


def shows_around(context: ActionContext) -> bool:
    return _graph(context).mode == "neighbourhood"


def _graph(context: ActionContext) -> GraphPanel:
    return cast(GraphPanel, context.screen.panels["graph"])
