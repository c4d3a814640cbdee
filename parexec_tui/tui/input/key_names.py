"""What keys are called: the character itself, or a name such as `enter`, `ctrl+p`, `pageup`."""

from textual import events
from textual.keys import Keys

KEY_NAMES = frozenset(
    {"space", *(key.value for key in Keys if key.value.isidentifier() and "scroll" not in key.value)}
)
"""Names of the keys that are no single character."""

_SHORT_NAMES = {
    "up": "↑", "down": "↓", "left": "←", "right": "→", "escape": "esc", "pageup": "pgup", "pagedown": "pgdn",
}  # fmt: skip


def key_name(event: events.Key) -> str:
    """The name of a key that was pressed."""
    return event.character if event.character and event.is_printable and event.character != " " else event.key


def is_key(name: str) -> bool:
    """Whether a terminal can send a key of this name."""
    *modifiers, last = name.split("+") if len(name) > 1 else [name]
    is_known = last in KEY_NAMES or (len(last) == 1 and last.isprintable() and last != " ")
    return is_known and {"ctrl", "shift", "alt"}.issuperset(modifiers)


def short_name(name: str, *, ascii_only: bool = False) -> str:
    """The name of a key as the screen shows it: `↑` for `up`."""
    return name if ascii_only else _SHORT_NAMES.get(name, name)
