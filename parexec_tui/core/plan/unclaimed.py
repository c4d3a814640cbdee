"""What a command wrote and its ticket does not claim: who may have written it, and what was found."""

from collections.abc import Mapping
from typing import Final

from msgspec import Struct, structs

MAX_NAMED: Final = 20
"""Files and tickets that are named; of more, only the number is told."""

_TOLD: Final = 5
"""Tickets that are named in a sentence."""

TICK: Final = 0.02
"""Seconds that the times of files may be behind: a kernel counts them in ticks of its clock, of up to 0.01 s."""

UNSURE: Final = 0.25
"""Seconds that the clock of an engine and that of a disk may differ more at another time than they do now."""


class Writer(Struct, frozen=True, gc=False):
    """Something else that may write, and when it ran."""

    name: str
    """Of a ticket its id."""
    began: float
    """Seconds since the epoch."""
    ended: float | None = None
    """None: it still runs."""
    writes: tuple[str, ...] = ()
    """The patterns of all that it claims to write."""

    def ran_all_of(self, first: float, last: float) -> bool:
        """Whether it ran during all of that span."""
        return self.began <= first and (self.ended is None or last <= self.ended)

    def ran(self, first: float, last: float) -> bool:
        """Whether it ran at some time of that span."""
        return self.began <= last and (self.ended is None or first <= self.ended)


class Unclaimed(Struct, frozen=True, gc=False):
    """What was found. Files are named as in the plan: seen from the workdir, or absolute if they lie outside
    and not in the worktree where the ticket worked."""

    files: tuple[str, ...] = ()
    """The first of those that nothing else can have written, in order."""
    count: int = 0
    """Of all of those."""
    shared: tuple[str, ...] = ()
    """The first of those that others may have written as well, and that nobody of them claims."""
    shared_count: int = 0
    others: tuple[str, ...] = ()
    """Who these are, the first of them."""
    others_count: int = 0
    unseen: str = ""
    """Why not all files were looked at, in words; empty: all were."""
    shared_by: tuple[tuple[str, ...], ...] = ()
    """Who may have written each of `shared`, the first of them; empty from earlier versions."""

    shared_at: tuple[float, ...] = ()
    """When each of `shared` was changed, in seconds since the epoch, as files tell; empty from earlier versions."""

    def without(self, told: Mapping[str, float]) -> "Unclaimed":
        """The same without those of `shared` that are told already. `told`: which, and when they were changed then.

        If that is all that have names, so are the others: whoever told them counted those too.
        """
        left = [
            (file, who, at)
            for file, who, at in zip(self.shared, self.shared_by, self.shared_at, strict=False)
            if told.get(file) != at
        ]
        if not self.shared_at or len(left) == len(self.shared):
            return self
        others = sorted({name for _, who, _ in left for name in who})
        return structs.replace(
            self,
            shared=tuple(file for file, _, _ in left),
            shared_count=self.shared_count - len(self.shared) + len(left) if left else 0,
            others=tuple(others[:MAX_NAMED]),
            others_count=len(others),
            shared_by=tuple(who for _, who, _ in left),
            shared_at=tuple(at for _, _, at in left),
        )

    def __bool__(self) -> bool:
        """Whether there is anything to tell."""
        return bool(self.count or self.shared_count or self.unseen)

    @property
    def outside(self) -> str:
        """What the ticket wrote for certain, in words: `wrote outside its claim: src/db.py (and 3 more)`."""
        return f"wrote outside its claim: {_first(self.files, self.count)}" if self.count else ""

    def text(self, ticket: str, besides: str = "") -> str:
        """All that is to be told of a ticket, in words. `besides`: what is told already, such as why it failed."""
        parts = [self.outside] if self.outside != besides else []
        if self.shared_count:
            parts.append(self._shared_text(ticket))
        if self.unseen:
            parts.append(f"what it wrote was not looked at whole: {self.unseen}")
        return "; ".join(filter(None, parts))

    def _shared_text(self, ticket: str) -> str:
        """The first file with those who may have written it; of the others, that they are of the same or not."""
        is_of_all = len(set(self.shared_by)) <= 1
        whom = self.others[:_TOLD] if is_of_all else self.shared_by[0][:_TOLD]
        unnamed = (self.others_count if is_of_all else len(self.shared_by[0])) - len(whom)
        more = f" and {unnamed} more" if unnamed else ""
        told = f"unclaimed, written by one of {', '.join((ticket, *whom))}{more}: "
        if is_of_all:
            return told + _first(self.shared, self.shared_count)
        return f"{told}{self.shared[0]} (and {self.shared_count - 1} more, by these or others)"


def _first(files: tuple[str, ...], count: int) -> str:
    return files[0] + (f" (and {count - 1} more)" if count > 1 else "")
