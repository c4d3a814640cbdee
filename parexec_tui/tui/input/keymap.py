"""An action and its keys, and the keymap: the actions as one person has them. The table itself is `actions.table`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Generic, NamedTuple, TypeVar

from parexec_tui.core.plan.reading.faults import Hints
from parexec_tui.tui.input.key_names import KEY_NAMES, is_key, short_name

MOVING, LOOKING, STEERING, SESSION = "Moving", "Looking", "Steering", "Session and screen"
SECTIONS = (MOVING, LOOKING, STEERING, SESSION)

Handler = TypeVar("Handler")
"""What carries an action out; the keymap does not need to know it."""


class Action(NamedTuple, Generic[Handler]):
    """A row of the table: something a person can do, and its keys."""

    name: str
    """As settings and the palette name it."""
    keys: tuple[str, ...]
    label: str
    """What it does, in a word for the footer."""
    help: str
    section: str
    handler: Handler
    footer: int = 0
    """A higher number is kept longer where the footer is short of room; 0: not in the footer."""
    panels: tuple[str, ...] = ()
    """The panels in which the keys work; empty: all panels."""
    restarts: bool = False
    """A finished session can be asked for it too: a new engine is started then."""
    back: str = ""
    """The label while it goes the other way: `release` of a key that holds. Empty: it has one way."""
    of_service: str = ""
    """The label where it is about a service. Empty: it is the same."""

    def is_for(self, panel: str) -> bool:
        """Whether its keys work in this panel."""
        return not self.panels or panel in self.panels


class KeymapError(ValueError):
    """A setting names an action that does not exist, or a key that the action cannot have."""

    def __init__(self, action: str, message: str, hint: str = "") -> None:
        super().__init__(f"{action}: {message}{f' ({hint})' if hint else ''}")
        self.action, self.message, self.hint = action, message, hint


_OWN_PANEL = 32
"""Footer rank of the actions of one panel for which the table has none."""


_KEPT = frozenset(("palette", "leave"))
"""Actions that keep a key: without them a person would not get to the others, or not out."""


class Keymap(Generic[Handler]):
    """The table of actions with the keys that a person's settings give them."""

    def __init__(self, table: Sequence[Action[Handler]], changes: Mapping[str, Sequence[str]] | None = None) -> None:
        """`changes`: the keys that replace those of an action, by its name. An action that has its own keys gives one
        up for it, if it has another one or can be found in the palette. Raises KeymapError."""
        changes = changes or {}
        given = tuple(
            action._replace(keys=tuple(changes[action.name])) if action.name in changes else action
            for action in table
        )
        own = [action for action in given if action.name in changes]
        self.actions = tuple(
            action if action.name in changes else action._replace(keys=_left_by(own, action)) for action in given
        )
        self._by_key: dict[str, list[Action[Handler]]] = {}
        for action in self.actions:
            for key in action.keys:
                self._by_key.setdefault(key, []).append(action)
        names = [action.name for action in table]
        for name in changes:
            if name not in names:
                raise KeymapError(name, "there is no such action", Hints(names).of(name))
            self._check(self.of(name))

    def _check(self, action: Action[Handler]) -> None:
        """Raise KeymapError if the action cannot be on the keys that it was given."""
        if action.name == "panel":
            raise KeymapError(action.name, "the panels keep their numbers", "1 to 9 are free for nothing else")
        for key in action.keys:
            if not is_key(key):
                hint = Hints(KEY_NAMES).of(key) or "a key is a character, or a name like enter or ctrl+p"
                raise KeymapError(action.name, f"no key is called {key!r}", hint)
            for other in self._by_key[key]:
                if other is not action and _share_a_panel(action, other):
                    raise KeymapError(action.name, f"{key!r} is on {other.name}", f"give {other.name} other keys")

    def find(self, key: str, panel: str) -> Action[Handler] | None:
        """The action of a key in a panel."""
        return next((action for action in self._by_key.get(key, ()) if action.is_for(panel)), None)

    def elsewhere(self, key: str) -> Action[Handler] | None:
        """The action of a key in the panels where it has one."""
        return next(iter(self._by_key.get(key, ())), None)

    def footer(self, panel: str) -> list[Action[Handler]]:
        """The actions for the footer of a panel, the most important first."""
        shown = [
            action
            for action in self.actions
            if action.keys and action.is_for(panel) and (action.footer or panel in action.panels)
        ]
        return sorted(shown, key=lambda action: -(action.footer or _OWN_PANEL))

    def of(self, name: str) -> Action[Handler]:
        """The action of this name."""
        return next(action for action in self.actions if action.name == name)

    def hint(self, name: str, *, ascii_only: bool = False) -> str:
        """How to do an action: its key, or its name in the palette."""
        keys = self.of(name).keys
        return short_name(keys[0], ascii_only=ascii_only) if keys else f":{name}"


def _left_by(own: Sequence[Action[Handler]], action: Action[Handler]) -> tuple[str, ...]:
    """The keys that an action has beside those that a person gave to others."""
    taken = {key for each in own if _share_a_panel(each, action) for key in each.keys}
    left = tuple(key for key in action.keys if key not in taken)
    return action.keys if action.name == "panel" or (action.name in _KEPT and not left) else left


def _share_a_panel(one: Action[Handler], other: Action[Handler]) -> bool:
    return not one.panels or not other.panels or not set(one.panels).isdisjoint(other.panels)


def keys_text(keys: Sequence[str], *, ascii_only: bool = False) -> str:
    """The keys of an action in words: `j ↓`, `1-9`."""
    if len(keys) > 3:
        return f"{keys[0]}-{keys[-1]}"
    return " ".join(short_name(key, ascii_only=ascii_only) for key in keys)


def table_lines(table: Sequence[Action[Handler]]) -> Iterator[str]:
    """The table of all keys as Markdown; `tests/docs` compares it with the page on keys."""
    yield "| key | what it does |"
    yield "| --- | --- |"
    for section in SECTIONS:
        yield f"| **{section}** | |"
        for action in table:
            if action.section == section:
                keys = [keys_text(action.keys)] if len(action.keys) > 3 else action.keys
                names = " ".join(f"`{key}`" for key in keys)
                where = f" (in {' and '.join(action.panels)})" if action.panels else ""
                yield f"| {names.replace('|', chr(92) + '|')} | {action.help}{where} |"
