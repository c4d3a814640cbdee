"""Who is blamed for a file that was written.

A file tells when it was written, and not by whom. So a ticket is blamed for one only if no other that ran then claims
it; and if others ran then, it may be theirs just as well.
"""

import posixpath
import re
from collections.abc import Iterable, Sequence

from msgspec import structs

from parexec_tui.core.plan.patterns import Pattern, matches, overlap, parse_pattern
from parexec_tui.core.plan.unclaimed import MAX_NAMED, UNSURE, Unclaimed, Writer

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
"""What would not be seen of a name."""

_SPECIAL = re.compile(r"[*?\[{}]")
"""What a pattern must have in brackets to mean it."""


class Cover:
    """Which paths any of many patterns covers. A question costs the names of its path, and the wildcards there."""

    def __init__(self, writes: Iterable[str], root: str) -> None:
        """`writes`: patterns, seen from `root`, which is absolute."""
        self._plain: set[str] = set()
        self._special: dict[str, list[Pattern]] = {}
        """{last literal folder, `/` at its end: patterns with wildcards after it}"""
        for text in writes:
            pattern = parse_pattern(text, root)
            if pattern.plain:
                self._plain.add(pattern.head)
            else:
                self._special.setdefault(pattern.head[: pattern.head.rindex("/") + 1], []).append(pattern)

    def has_all_of(self, folder: str) -> bool:
        """Whether a pattern without a wildcard names this very folder. Absolute."""
        return f"{folder.rstrip('/')}/" in self._plain

    def has(self, path: str) -> bool:
        """Whether a path is covered. Absolute."""
        at = path.find("/")
        while at >= 0:
            folder = path[: at + 1]
            if folder in self._plain:
                return True
            if any(matches(pattern, path) for pattern in self._special.get(folder, ())):
                return True
            at = path.find("/", at + 1)
        return self.has_all_of(path)

    def has_some_of(self, folder: str) -> bool:
        """Whether something beneath a folder may be covered, or all of it. Absolute. Costs all patterns."""
        start = f"{folder.rstrip('/')}/"
        if self.has(folder) or any(plain.startswith(start) for plain in self._plain):
            return True
        if not self._special or "\\" in folder:  # no pattern can say a backslash
            return bool(self._special)
        whole = parse_pattern(_SPECIAL.sub(r"[\g<0>]", folder), "/")
        return any(overlap(pattern, whole) for patterns in self._special.values() for pattern in patterns)


def by_file_times(others: Iterable[Writer], started: float, began: float, ahead: float) -> list[Writer]:
    """The same, with times as files tell them: an engine's clock is not that of the disk.

    `started`, `began`: when the attempt was started by the clock of the engine, and its command by that of the disk.
    `ahead`: by how many seconds that one is ahead now. Where it is not certain, they ran longer.
    """
    return [
        structs.replace(
            other,
            began=other.began + ahead - UNSURE,
            ended=None if other.ended is None else began if other.ended <= started else other.ended + ahead + UNSURE,
        )
        for other in others
    ]


class Blame:
    """Finds what of the files that it is told of was written by a command, and is not claimed."""

    def __init__(
        self,
        root: str,
        writes: Iterable[str],
        began: float,
        ended: float,
        others: Sequence[Writer] = (),
        top: str = "",
    ) -> None:
        """`writes`: all that the ticket claims to write, seen from `root`. `began`, `ended`: of its command, in
        seconds since the epoch, as files tell it. `others`: who ran at that time. `top`: a folder that `root` is in,
        of which all is named as seen from `root`."""
        self._root, self._top = root, f"{top.rstrip('/')}/" if top else ""
        self._began, self._ended = began, ended
        self._others = [(other, Cover(other.writes, root)) for other in others if other.ran(began, ended)]
        self._mine = Cover(writes, root)
        self._theirs = Cover((text for other, _ in self._others for text in other.writes), root)
        always = (other.writes for other, _ in self._others if other.ran_all_of(began, ended))
        self._always = Cover((text for texts in always for text in texts), root)
        self._files: list[str] = []
        self._shared: list[str] = []
        self._shared_by: list[tuple[str, ...]] = []
        self._shared_at: list[float] = []
        self._count = self._shared_count = 0
        self._suspects: dict[str, None] = {}

    def may_skip(self, folder: str) -> bool:
        """Whether all that may be in a folder is claimed. Absolute."""
        return self._mine.has_all_of(folder) or self._always.has_all_of(folder)

    def add(self, path: str, times: tuple[float, ...] = ()) -> None:
        """Look at a file. `times`: when it was changed, in seconds since the epoch; none: the command has written it
        for certain."""
        written = [at for at in times if self._began <= at <= self._ended]
        if (times and not written) or self._mine.has(path):
            return
        if not times:
            self._blame(path)
            return
        beside = [(other, cover) for other, cover in self._others if any(other.ran(at, at) for at in written)]
        if self._theirs.has(path) and any(cover.has(path) for _, cover in beside):
            return
        if not beside:
            self._blame(path)
            return
        self._shared_count += 1
        if len(self._shared) < MAX_NAMED:
            self._shared.append(self._named(path))
            self._shared_at.append(max(times))
            self._shared_by.append(tuple(sorted({other.name for other, _ in beside})[:MAX_NAMED]))
        self._suspects.update(dict.fromkeys(other.name for other, _ in beside))

    def add_folder(self, path: str, written: float, changed: float) -> None:
        """Look at a folder. One that was changed itself, and nothing in it, was moved to where it is, or its mode was
        changed: no file in it tells that. `written`, `changed`: the times of what is in it, and of itself."""
        if not self._began <= changed <= self._ended or self._began <= written:
            return
        beside = (cover for other, cover in self._others if other.ran(changed, changed))
        if not self._mine.has_some_of(path) and not any(cover.has_some_of(path) for cover in beside):
            self.add(f"{path}/", (changed,))

    def _blame(self, path: str) -> None:
        self._count += 1
        if len(self._files) < MAX_NAMED:
            self._files.append(self._named(path))

    def _named(self, path: str) -> str:
        start = f"{self._root.rstrip('/')}/"
        is_beside = self._top and path.startswith(self._top) and not path.startswith(start)
        name = posixpath.relpath(path, self._root) if is_beside else path.removeprefix(start)
        name = name.encode("utf-8", "backslashreplace").decode()
        return _CONTROL.sub(lambda found: repr(found[0])[1:-1], name)

    def found(self, unseen: str = "") -> Unclaimed:
        """What was found so far. `unseen`: why not all was looked at."""
        suspects = sorted(self._suspects)
        return Unclaimed(
            tuple(self._files),
            self._count,
            tuple(self._shared),
            self._shared_count,
            tuple(suspects[:MAX_NAMED]),
            len(suspects),
            unseen,
            tuple(self._shared_by),
            tuple(self._shared_at),
        )
