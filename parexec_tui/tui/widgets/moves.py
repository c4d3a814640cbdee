"""The keys that scroll, or move a cursor, in every dialog."""

from typing import Protocol

_ARROWS = {"down": "j", "up": "k", "pagedown": "ctrl+d", "pageup": "ctrl+u"}
_ENDS = {"home": "g", "end": "G"}


class Movable(Protocol):
    """Something with rows or lines to move in."""

    def move(self, rows: int) -> None: ...
    def move_page(self, pages: int) -> None: ...
    def go_first(self) -> None: ...
    def go_last(self) -> None: ...


def move_by_key(what: Movable, name: str, *, letters: bool = True) -> bool:
    """Move, if this key is for moving; whether it is. Without `letters`, only by keys that do not type a text."""
    match _ARROWS.get(name) or (_ENDS.get(name, name) if letters else ""):
        case "j":
            what.move(1)
        case "k":
            what.move(-1)
        case "ctrl+d" | "space":
            what.move_page(1)
        case "ctrl+u":
            what.move_page(-1)
        case "g":
            what.go_first()
        case "G":
            what.go_last()
        case _:
            return False
    return True
