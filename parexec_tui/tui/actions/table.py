"""The one table of actions. Bindings, footer, help, palette and the page on keys all come from it.

An action is a row: its name, its keys, how the screen and the pages speak of it, and what carries it out. Settings
give an action other keys by its name, so names stay. There is no destructive `d`, nothing on ctrl-s, q, a or b (flow
control and the prefixes of screen and tmux), no function key, no alt alone.
"""

from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.settings import Settings, refused
from parexec_tui.tui.actions import (
    forms,
    moving,
    output,
    palette,
    session,
    steering,
    tickets,
    time_travel,
    timeline,
    undoing,
)
from parexec_tui.tui.actions.perform import Ask, KeyFunction, TableAction, TableKeymap, Toggle
from parexec_tui.tui.input.keymap import LOOKING, MOVING, SESSION, STEERING, Action, Keymap, KeymapError

_TICKETS = ("tickets", "graph")
_OUTPUT = ("output",)
_TIMELINE = ("timeline",)

ACTIONS: tuple[TableAction, ...] = (
    Action("up", ("k", "up"), "up", "up a row", MOVING, moving.up),
    Action("down", ("j", "down"), "down", "down a row", MOVING, moving.down),
    Action(
        "left", ("h", "left"), "left",
        "fold; to a need in the graph; to the attempt before in the timeline; scroll left in the output; "
        "to the host before in the gauges",
        MOVING, moving.left,
    ),
    Action(
        "right", ("l", "right"), "right",
        "unfold; to a dependent in the graph; to the next attempt in the timeline; scroll right in the output; "
        "to the next host in the gauges",
        MOVING, moving.right,
    ),
    Action("page-up", ("pageup", "ctrl+u"), "page up", "up a page", MOVING, moving.page_up),
    Action("page-down", ("pagedown", "ctrl+d"), "page down", "down a page", MOVING, moving.page_down),
    Action("first", ("g", "home"), "first", "to the first row", MOVING, moving.first),
    Action(
        "last", ("G", "end"), "last", "to the last row; from the past, back to now; follows the output",
        MOVING, moving.last,
    ),
    Action("next-panel", ("tab",), "panel", "to the next panel", MOVING, moving.next_panel, footer=40),
    Action("previous-panel", ("shift+tab",), "panel back", "to the panel before", MOVING, moving.previous_panel),
    Action("panel", tuple("123456789"), "panel", "to the panel of this number", MOVING, KeyFunction(moving.to_panel)),
    Action(
        "zoom", ("z",), "zoom", "the panel alone, and back",
        MOVING, Toggle(moving.zoom, moving.is_zoomed), footer=20, back="unzoom",
    ),
    Action(
        "open", ("enter",), "open",
        "all about the ticket; of an agent, its ticket; in the output of a coding agent, the tool call",
        MOVING, output.open_row, footer=50,
    ),
    Action(
        "back", ("escape",), "back", "back: from zoom, the filter, the marks, the past, the tour",
        MOVING, moving.back,
    ),
    Action(
        "filter", ("/",), "filter", "filter tickets and events; search the output",
        LOOKING, tickets.ask_for_filter, footer=60,
    ),
    Action(
        "problems", ("!",), "problems", "only what failed, or is blocked by it",
        LOOKING, Toggle(tickets.show_problems, tickets.shows_problems), footer=30, panels=_TICKETS, back="show all",
    ),
    Action(
        "next-needy", ("b",), "needs you", "to the next ticket or agent that needs a person",
        LOOKING, tickets.next_needing_attention, footer=35,
    ),
    Action(
        "next-running", ("J",), "running", "to the next ticket that runs",
        LOOKING, tickets.next_running, footer=33,
    ),
    Action(
        "previous-running", ("K",), "running", "to the ticket before that runs",
        LOOKING, tickets.previous_running,
    ),
    Action("why", ("w",), "why", "why is it not running?", LOOKING, tickets.why, footer=55),
    Action("diff", ("d",), "diff", "what did it change in its worktree?", LOOKING, tickets.diff),
    Action(
        "mark", ("space",), "mark", "mark it: actions take what is marked",
        LOOKING, Toggle(tickets.mark, tickets.is_marked), footer=52, panels=_TICKETS, back="unmark",
    ),
    Action(
        "mark-shown", ("*",), "mark shown", "mark all that the filter shows, or none",
        LOOKING, Toggle(tickets.mark_shown, tickets.has_marked_shown), panels=_TICKETS, back="unmark all",
    ),
    Action("sort", ("s",), "sort", "sort by the next column", LOOKING, tickets.sort, panels=("tickets",)),
    Action(
        "sort-reverse", ("S",), "reverse", "sort the other way round",
        LOOKING, tickets.sort_reverse, panels=("tickets",),
    ),
    Action(
        "group", ("t",), "group", "rows by what needs you, by family, in plan order, by group, or by status",
        LOOKING, tickets.group, panels=("tickets",),
    ),
    Action(
        "graph-view", ("v",), "what is around", "lanes, or what is around the ticket",
        LOOKING, Toggle(tickets.switch_graph, tickets.shows_around), footer=88, panels=("graph",), back="all lanes",
    ),
    Action(
        "graph-fold", ("t",), "unfold", "fold what succeeded, or show all of it",
        LOOKING, Toggle(tickets.fold_graph, tickets.graph_is_open), footer=86, panels=("graph",), back="fold",
    ),
    Action(
        "timeline-view", ("v",), "by ticket", "agents and tickets, or tickets alone",
        LOOKING, Toggle(timeline.switch_view, timeline.shows_tickets), footer=88, panels=_TIMELINE, back="by agent",
    ),
    Action(
        "time-in", ("i",), "zoom in", "show less time, around the cursor",
        LOOKING, timeline.zoom_in, footer=87, panels=_TIMELINE,
    ),
    Action(
        "time-out", ("I",), "zoom out", "show more time, around the cursor",
        LOOKING, timeline.zoom_out, footer=86, panels=_TIMELINE,
    ),
    Action(
        "time-whole", ("0",), "whole", "the whole session, and the cursor to now",
        LOOKING, timeline.zoom_whole, footer=34, panels=_TIMELINE,
    ),
    Action("time-earlier", (",",), "earlier", "show an earlier part", LOOKING, timeline.pan_back, panels=_TIMELINE),
    Action("time-later", (".",), "later", "show a later part", LOOKING, timeline.pan_on, panels=_TIMELINE),
    Action("next-match", ("n",), "next", "the next match of the search", LOOKING, output.next_match, panels=_OUTPUT),
    Action("previous-match", ("N",), "previous", "the match before", LOOKING, output.previous_match, panels=_OUTPUT),
    Action(
        "next-error", ("E",), "error", "the next line that looks like an error",
        LOOKING, output.next_error, footer=87, panels=_OUTPUT,
    ),
    Action(
        "next-failure", ("c",), "failure", "to the next failure, and what it printed; those with the same error once",
        LOOKING, output.next_failure, footer=34,
    ),
    Action(
        "pin", ("m",), "pin", "pin its output beside the others, up to three; or take it off",
        LOOKING, Toggle(output.pin, output.is_pinned), panels=("tickets", "graph", "output"), back="unpin",
    ),
    Action(
        "next-output", ("B",), "next output", "to the next of the outputs that are shown",
        LOOKING, output.next_output, panels=_OUTPUT,
    ),
    Action(
        "follow-running", ("H",), "what runs", "the output of what started last, or of the selected ticket",
        LOOKING, Toggle(output.follow, output.is_following), panels=("tickets", "output"), back="the selected",
    ),
    Action(
        "wrap", ("W",), "cut lines", "fold long lines, or cut them",
        LOOKING, Toggle(output.wrap, output.cuts_lines), panels=_OUTPUT, back="fold lines",
    ),
    Action(
        "times", ("T",), "times", "when each line came",
        LOOKING, Toggle(output.times, output.has_times), panels=_OUTPUT, back="no times",
    ),
    Action(
        "earlier-attempt", (",",), "earlier", "the output of the attempt before",
        LOOKING, output.earlier_attempt, panels=_OUTPUT,
    ),
    Action(
        "later-attempt", (".",), "later", "the output of the next attempt",
        LOOKING, output.later_attempt, panels=_OUTPUT,
    ),
    Action("back-one", ("[",), "past", "look back: an event earlier", LOOKING, time_travel.back_one),
    Action("forward-one", ("]",), "later", "an event later", LOOKING, time_travel.forward_one),
    Action(
        "back-far", ("{",), "past", "look back: a twentieth of the session earlier",
        LOOKING, time_travel.back_far,
    ),
    Action("forward-far", ("}",), "later", "a twentieth of the session later", LOOKING, time_travel.forward_far),
    Action(
        "copy", ("y",), "copy", "copy the id, the output shown, or what resumes a conversation (OSC 52)",
        LOOKING, session.copy,
    ),
    Action(
        "hold", ("p",), "hold", "hold, or release: do not start",
        STEERING, Ask(steering.hold), footer=90, back="release",
    ),
    Action(
        "freeze", ("f",), "freeze", "freeze, or thaw: stop its processes for now",
        STEERING, Ask(steering.freeze), footer=80, back="thaw",
    ),
    Action(
        "retry", ("r",), "retry", "run again what is over",
        STEERING, Ask(steering.retry), footer=85, restarts=True, of_service="restart",
    ),
    Action(
        "retry-form", ("R",), "retry…", "run again with changes, or with what depends on it",
        STEERING, forms.RETRY, restarts=True,
    ),
    Action(
        "rollback", ("Z",), "roll back", "take back what it did, by its rollback and the snapshot of its files",
        STEERING, Ask(steering.rollback), restarts=True,
    ),
    Action("reassign", ("a",), "reassign", "give it to another agent", STEERING, forms.REASSIGN, footer=70),
    Action(
        "cancel", ("x",), "cancel", "cancel it: it ends if it runs (TERM, then KILL), and is not tried again",
        STEERING, Ask(steering.cancel), footer=75,
    ),
    Action("kill", ("X",), "kill", "cancel it, and end it with KILL at once", STEERING, Ask(steering.kill)),
    Action("waive", ("o",), "waive", "waive it, do without it: what needs it may run", STEERING, Ask(steering.waive)),
    Action(
        "answer", ("A",), "answer…", "answer its coding agent, which asks or was not allowed something: it goes on",
        STEERING, forms.ANSWER, footer=85,
    ),
    Action(
        "talk", ("@",), "talk", "open the conversation of its coding agent here; the ticket is held meanwhile",
        STEERING, tickets.talk,
    ),
    Action(
        "approve", ("Y",), "approve", "approve what waits for approval: it may start, or has succeeded",
        STEERING, Ask(steering.approve), footer=84,
    ),
    Action(
        "reject", ("V",), "reject…", "send back what waits for approval, with a note: it runs again, or is cancelled",
        STEERING, forms.REJECT, footer=83,
    ),
    Action(
        "conflict", ("C",), "conflict…", "both sides of its conflict with what is merged: you decide which wins",
        STEERING, forms.CONFLICT, footer=83,
    ),
    Action("edit", ("e",), "edit", "change a ticket that is not running", STEERING, forms.EDIT, footer=25),
    Action("raise", ("<",), "raise", "a priority class higher", STEERING, Ask(steering.raise_priority)),
    Action("lower", (">",), "lower", "a priority class lower", STEERING, Ask(steering.lower_priority)),
    Action(
        "more", ("+", "="), "more", "one agent more of the type; else one ticket more",
        STEERING, Ask(steering.more),
    ),
    Action(
        "fewer", ("-",), "fewer", "one agent fewer of the type; else one ticket fewer",
        STEERING, Ask(steering.fewer),
    ),
    Action(
        "drain", ("D",), "drain", "drain an agent, or the session: start nothing new there",
        STEERING, Ask(steering.drain), back="release",
    ),
    Action(
        "hold-all", ("P",), "hold all", "hold the session, or release it",
        STEERING, Ask(steering.hold_all), footer=65, back="release all",
    ),
    Action(
        "freeze-all", ("F",), "freeze all", "freeze all that runs, or thaw it",
        STEERING, Ask(steering.freeze_all), back="thaw all",
    ),
    Action(
        "undo", ("u",), "undo", "take back the last thing that a person did",
        STEERING, Ask(steering.undo), footer=28,
    ),
    Action(
        "undo-list", ("U",), "undo list", "what was done: what can be taken back, what cannot and why",
        STEERING, undoing.show_undo_list,
    ),
    Action(
        "stop-session", ("Q",), "stop all", "stop the session; it can be resumed",
        SESSION, Ask(steering.stop_session),
    ),
    Action(
        "take-over", ("ctrl+r",), "take over", "start a new engine for a session whose engine is gone",
        SESSION, session.take_over,
    ),
    Action(
        "sessions", ("O",), "sessions", "all sessions, and how they stand; enter shows one",
        SESSION, session.show_sessions, footer=15,
    ),
    Action(
        "session-before", ("L",), "last session", "back to the session that was shown before",
        SESSION, session.show_session_before,
    ),
    Action("palette", (":", "ctrl+p"), "commands", "every command by name", SESSION, palette.show_palette, footer=45),
    Action("help", ("?",), "help", "all keys, and what each sign means", SESSION, session.show_help, footer=95),
    Action(
        "tour", ("ctrl+n",), "tour", "skip a step of the tour; on with a tour that was left",
        SESSION, session.tour,
    ),
    Action("mouse", ("M",), "mouse", "use the mouse here, or leave it to the terminal", SESSION, session.mouse),
    Action("redraw", ("ctrl+l",), "redraw", "draw the screen anew", SESSION, session.redraw),
    Action("suspend", ("ctrl+z",), "suspend", "to the shell for a while; fg comes back", SESSION, session.suspend),
    Action("leave", ("q", "ctrl+c"), "leave", "leave; the engine stays", SESSION, session.leave, footer=100),
)  # fmt: skip


FORMER_NAMES = {"skip": "waive", "stop": "cancel"}
"""Names that actions had before, which settings may still have."""


def keymap_of(settings: Settings) -> TableKeymap:
    """The keys as a person's settings want them. Raises SettingsError."""
    written = {FORMER_NAMES.get(name, name): name for name in settings.keys}
    written |= {name: name for name in settings.keys if name not in FORMER_NAMES}
    try:
        return Keymap(ACTIONS, {name: settings.keys[as_written] for name, as_written in written.items()})
    except KeymapError as error:
        place = written.get(error.action, error.action)
        raise refused([Fault(("keys", place), error.message, error.hint)]) from error
