"""Every key, once. Bindings, footer, help, palette and the table in docs/keys.md all come from `KEYS`.

A key is named as a person would write it: the character itself, or `enter`, `ctrl+p`, `pageup`. Actions are methods
of `actions.Actions` (`do_` and the name). There is no destructive `d`, nothing on ctrl-s, q, a or b (flow control and
the prefixes of screen and tmux), no function key, no alt alone.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from textual import events
from textual.keys import Keys

from parexec_tui.core.plan.reading.faults import Fault, Hints
from parexec_tui.settings import Settings, refused

MOVING, LOOKING, STEERING, SESSION = "Moving", "Looking", "Steering", "Session and screen"
SECTIONS = (MOVING, LOOKING, STEERING, SESSION)


class Key(NamedTuple):
    """One action and the keys it is on."""

    action: str
    keys: tuple[str, ...]
    label: str
    """In the footer: a word."""
    help: str
    section: str
    footer: int = 0
    """Higher is kept longer where the footer is short of room; 0: not in the footer."""
    panels: tuple[str, ...] = ()
    """Panels it is for; none: all of them."""
    steers: bool = False
    """It asks the engine for something, so it is off in the past and for who may only read."""


_TICKETS = ("tickets", "graph")
_OUTPUT = ("output",)

KEYS: tuple[Key, ...] = (
    Key("up", ("k", "up"), "up", "up a row", MOVING),
    Key("down", ("j", "down"), "down", "down a row", MOVING),
    Key("left", ("h", "left"), "left", "fold; to a need in the graph; scroll left in the output", MOVING),
    Key("right", ("l", "right"), "right", "unfold; to a dependent in the graph; scroll right in the output", MOVING),
    Key("page-up", ("pageup", "ctrl+u"), "page up", "up a page", MOVING),
    Key("page-down", ("pagedown", "ctrl+d"), "page down", "down a page", MOVING),
    Key("first", ("g", "home"), "first", "to the first row", MOVING),
    Key("last", ("G", "end"), "last", "to the last row; from the past, back to now; follows the output", MOVING),
    Key("next-panel", ("tab",), "panel", "to the next panel", MOVING, footer=40),
    Key("previous-panel", ("shift+tab",), "panel back", "to the panel before", MOVING),
    Key("panel", tuple("123456789"), "panel", "to the panel of this number", MOVING),
    Key("zoom", ("z",), "zoom", "the panel alone, and back", MOVING, footer=20),
    Key("open", ("enter",), "open", "all about the ticket; of an agent, the ticket that it runs", MOVING, footer=50),
    Key("back", ("escape",), "back", "back: from zoom, the filter, the marks, the past", MOVING),
    Key("filter", ("/",), "filter", "filter tickets and events; search the output", LOOKING, footer=60),
    Key("problems", ("!",), "problems", "only what failed, or is blocked by it", LOOKING, footer=30, panels=_TICKETS),
    Key("next-needy", ("b",), "needs you", "to the next ticket that needs a person", LOOKING, footer=35),
    Key("why", ("w",), "why", "why is it not running?", LOOKING, footer=55),
    Key("mark", ("space",), "mark", "mark it: actions take what is marked", LOOKING, footer=52, panels=_TICKETS),
    Key("mark-shown", ("*",), "mark shown", "mark all that the filter shows, or none", LOOKING, panels=_TICKETS),
    Key("sort", ("s",), "sort", "sort by the next column", LOOKING, panels=("tickets",)),
    Key("sort-reverse", ("S",), "reverse", "sort the other way round", LOOKING, panels=("tickets",)),
    Key("group", ("t",), "group", "rows by group, by status, or one after another", LOOKING, panels=("tickets",)),
    Key("graph-view", ("v",), "view", "lanes, or what is around the ticket", LOOKING, footer=88, panels=("graph",)),
    Key("next-match", ("n",), "next", "the next match of the search", LOOKING, panels=_OUTPUT),
    Key("previous-match", ("N",), "previous", "the match before", LOOKING, panels=_OUTPUT),
    Key("next-error", ("E",), "error", "the next line that looks like an error", LOOKING, footer=87, panels=_OUTPUT),
    Key("wrap", ("W",), "wrap", "fold long lines, or cut them", LOOKING, panels=_OUTPUT),
    Key("times", ("T",), "times", "when each line came", LOOKING, panels=_OUTPUT),
    Key("earlier-attempt", (",",), "earlier", "the output of the attempt before", LOOKING, panels=_OUTPUT),
    Key("later-attempt", (".",), "later", "the output of the next attempt", LOOKING, panels=_OUTPUT),
    Key("back-one", ("[",), "past", "look back: an event earlier", LOOKING),
    Key("forward-one", ("]",), "later", "an event later", LOOKING),
    Key("back-far", ("{",), "past", "look back: a twentieth of the session earlier", LOOKING),
    Key("forward-far", ("}",), "later", "a twentieth of the session later", LOOKING),
    Key("copy", ("y",), "copy", "copy the id, or the output shown, to your clipboard (OSC 52)", LOOKING),
    Key("hold", ("p",), "hold", "hold, or release: do not start", STEERING, footer=90, steers=True),
    Key("freeze", ("f",), "freeze", "freeze, or thaw: stop its processes for now", STEERING, footer=80, steers=True),
    Key("retry", ("r",), "retry", "run again what is over", STEERING, footer=85, steers=True),
    Key("retry-form", ("R",), "retry…", "run again with changes, or with what depends on it", STEERING, steers=True),
    Key("reassign", ("a",), "assign", "give it to another agent", STEERING, footer=70, steers=True),
    Key("stop", ("x",), "stop", "stop it, or give it up: TERM, then KILL", STEERING, footer=75, steers=True),
    Key("kill", ("X",), "kill", "stop it with KILL, at once", STEERING, steers=True),
    Key("skip", ("o",), "do without", "do without it: what needs it may run", STEERING, steers=True),
    Key("edit", ("e",), "edit", "change a ticket that is not running", STEERING, footer=25, steers=True),
    Key("raise", ("<",), "raise", "a priority class higher", STEERING, steers=True),
    Key("lower", (">",), "lower", "a priority class lower", STEERING, steers=True),
    Key("more", ("+", "="), "more", "one agent more of the type; else one ticket more", STEERING, steers=True),
    Key("fewer", ("-",), "fewer", "one agent fewer of the type; else one ticket fewer", STEERING, steers=True),
    Key("drain", ("D",), "drain", "drain an agent, or the session: start nothing new there", STEERING, steers=True),
    Key("hold-all", ("P",), "hold all", "hold the session, or release it", STEERING, footer=65, steers=True),
    Key("freeze-all", ("F",), "freeze all", "freeze all that runs, or thaw it", STEERING, steers=True),
    Key("undo", ("u",), "undo", "take back the last thing that a person did", STEERING, footer=28, steers=True),
    Key("stop-session", ("Q",), "stop all", "stop the session; it can be resumed", SESSION, steers=True),
    Key("take-over", ("ctrl+r",), "take over", "start a new engine for a session whose engine is gone", SESSION),
    Key("palette", (":", "ctrl+p"), "commands", "every command by name", SESSION, footer=45),
    Key("help", ("?",), "help", "all keys", SESSION, footer=95),
    Key("mouse", ("M",), "mouse", "use the mouse here, or leave it to the terminal", SESSION),
    Key("redraw", ("ctrl+l",), "redraw", "draw the screen anew", SESSION),
    Key("suspend", ("ctrl+z",), "suspend", "to the shell for a while; fg comes back", SESSION),
    Key("leave", ("q", "ctrl+c"), "leave", "leave; the engine stays", SESSION, footer=100),
)  # fmt: skip

_NAMES = {"up": "↑", "down": "↓", "left": "←", "right": "→", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn"}


_KEY_NAMES = frozenset(
    {"space", *(key.value for key in Keys if key.value.isidentifier() and "scroll" not in key.value)}
)
"""What keys are called that are no single character."""


_PANEL_OWN = 32
"""How important the keys of one panel are in its footer, where the table does not say."""


class KeymapError(ValueError):
    """An action or a key that cannot be, in what a person changed."""

    def __init__(self, action: str, message: str, hint: str = "") -> None:
        super().__init__(f"{action}: {message}{f' ({hint})' if hint else ''}")
        self.action, self.message, self.hint = action, message, hint


class Keymap:
    """The keys as they are for this person: `KEYS`, with what their settings say otherwise."""

    def __init__(self, changes: Mapping[str, Sequence[str]] | None = None) -> None:
        """`changes`: action to the keys it shall be on. Raises KeymapError."""
        changes = changes or {}
        known = Hints(key.action for key in KEYS)
        self.keys = tuple(
            key._replace(keys=tuple(changes[key.action])) if key.action in changes else key for key in KEYS
        )
        self._by_name: dict[str, list[Key]] = {}
        for key in self.keys:
            for name in key.keys:
                self._by_name.setdefault(name, []).append(key)
        for action in changes:
            if action not in {key.action for key in KEYS}:
                raise KeymapError(action, "there is no such action", known.of(action))
            self._check(self.of(action))

    def _check(self, key: Key) -> None:
        """Whether an action can be on the keys that it was given."""
        if key.action == "panel":
            raise KeymapError(key.action, "the panels keep their numbers", "1 to 9 are free for nothing else")
        for name in key.keys:
            if not _is_key(name):
                hint = Hints(_KEY_NAMES).of(name) or "a key is a character, or a name like enter or ctrl+p"
                raise KeymapError(key.action, f"no key is called {name!r}", hint)
            for other in self._by_name[name]:
                if other is not key and _meet(key, other):
                    raise KeymapError(key.action, f"{name!r} is on {other.action}", f"give {other.action} other keys")

    def find(self, name: str, panel: str) -> Key | None:
        """What a key does in a panel."""
        return next((key for key in self._by_name.get(name, ()) if is_for(key, panel)), None)

    def elsewhere(self, name: str) -> Key | None:
        """What a key does in the panels that have it."""
        return next(iter(self._by_name.get(name, ())), None)

    def footer(self, panel: str) -> list[Key]:
        """What the footer of a panel should have, the most important first."""
        shown = [key for key in self.keys if key.keys and is_for(key, panel) and (key.footer or panel in key.panels)]
        return sorted(shown, key=lambda key: -(key.footer or _PANEL_OWN))

    def of(self, action: str) -> Key:
        return next(key for key in self.keys if key.action == action)


def keymap_of(settings: Settings) -> Keymap:
    """The keys as a person's settings want them. Raises SettingsError."""
    try:
        return Keymap(settings.keys)
    except KeymapError as error:
        raise refused([Fault(("keys", error.action), error.message, error.hint)]) from error


def _is_key(name: str) -> bool:
    *modifiers, last = name.split("+") if len(name) > 1 else [name]
    is_known = last in _KEY_NAMES or (len(last) == 1 and last.isprintable() and last != " ")
    return is_known and {"ctrl", "shift", "alt"}.issuperset(modifiers)


def is_for(key: Key, panel: str) -> bool:
    return not key.panels or panel in key.panels


def _meet(one: Key, other: Key) -> bool:
    return not one.panels or not other.panels or not set(one.panels).isdisjoint(other.panels)


def shown(key: Key, *, ascii_only: bool = False) -> str:
    """The keys of an action in words: `j ↓`, `1-9`."""
    if len(key.keys) > 3:
        return f"{key.keys[0]}-{key.keys[-1]}"
    return " ".join(one_shown(name, ascii_only=ascii_only) for name in key.keys)


def one_shown(name: str, *, ascii_only: bool = False) -> str:
    return name if ascii_only else _NAMES.get(name, name)


def readme_table() -> Iterator[str]:
    """The table of all keys in docs/keys.md, as `tests/docs/test_pages.py` compares it."""
    yield "| key | what it does |"
    yield "| --- | --- |"
    for section in SECTIONS:
        yield f"| **{section}** | |"
        for key in KEYS:
            if key.section == section:
                names = " ".join(f"`{name}`" for name in ([shown(key)] if len(key.keys) > 3 else key.keys))
                where = f" (in {' and '.join(key.panels)})" if key.panels else ""
                yield f"| {names.replace('|', chr(92) + '|')} | {key.help}{where} |"


def key_name(event: events.Key) -> str:
    """The name of a key that was pressed, as in `KEYS`."""
    return event.character if event.character and event.is_printable and event.character != " " else event.key
