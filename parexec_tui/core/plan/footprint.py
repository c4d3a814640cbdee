"""Footprints: the paths that the tickets of a session claim, taken together, to compare sessions with each other.

Inside a session, `claims` decides who may run beside whom. Here are sessions that know nothing of each other.
"""

from collections.abc import Iterator
from typing import Literal, NamedTuple

from parexec_tui.core.plan.patterns import Pattern, overlap

Kind = Literal["read", "write"]


class Touch(NamedTuple):
    """One ticket reads or writes what a pattern covers."""

    ticket: str
    kind: Kind
    pattern: Pattern
    text: str
    """The pattern as it stands in the plan."""


class Footprint:
    """What the tickets of one session touch. Of tickets that touch the same, the first one stands for all.

    A pattern is filed under the last of its literal folders (`_at`) and under each of them (`_below`), as in
    `claims.Holdings`. So a pattern is compared only with those that may overlap it.
    """

    def __init__(self, effort: int = 500_000) -> None:
        self._at: dict[str, list[Touch]] = {}
        self._below: dict[str, list[Touch]] = {}
        self._seen: set[tuple[Kind, str]] = set()
        self._is_below: dict[str, bool] = {}
        self.effort = effort
        """Comparisons that are left. At 0 nothing is found any more."""

    def add(self, touch: Touch) -> None:
        key = (touch.kind, touch.pattern.text)
        if key in self._seen:
            return
        self._seen.add(key)
        *_, last = folders = list(_folders(touch.pattern.head))
        self._at.setdefault(last, []).append(touch)
        for folder in folders:
            self._below.setdefault(folder, []).append(touch)

    def __len__(self) -> int:
        return len(self._seen)

    def is_near(self, folder: str) -> bool:
        """Whether a pattern of this literal folder (`/` at its end) may overlap one of these. Cheap, for the many
        that are nowhere near."""
        if folder in self._below:
            return True
        above = folder[: folder.rfind("/", 0, -1) + 1]
        found = self._is_below.get(above)
        if found is None:
            found = self._is_below[above] = any(each in self._at for each in _folders(above))
        return found

    def clashes(self, touch: Touch) -> Iterator[Touch]:
        """What of this cannot go together with `touch`, of which one writes. Costs effort."""
        *above, last = _folders(touch.pattern.head)
        for group in (*(self._at.get(folder, ()) for folder in above), self._below.get(last, ())):
            for ours in group:
                if "write" not in (touch.kind, ours.kind):
                    continue
                if self.effort <= 0:
                    return
                self.effort -= 1
                if overlap(ours.pattern, touch.pattern):
                    yield ours


def _folders(head: str) -> Iterator[str]:
    """`/a/b/` to `/`, `/a/`, `/a/b/`; `/a/b` to `/`, `/a/`."""
    at = head.find("/")
    while at >= 0:
        yield head[: at + 1]
        at = head.find("/", at + 1)
