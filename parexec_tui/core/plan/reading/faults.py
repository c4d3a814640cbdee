"""What is wrong in a file that a person wrote: the path of a key, a message, a hint. `problems` adds the position."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import NamedTuple

Path = tuple[str | int, ...]
"""Keys from the top of the file; a number is the place in a list, from 0."""


UNKNOWN_KEY = "unknown key"


class Fault(NamedTuple):
    path: Path
    message: str
    hint: str = ""


class Hints:
    """Says which of the known names a word was perhaps meant to be.

    A word is compared with every name, so in a plan of 100,000 tickets with as many slips in it, hints alone would
    take hours. `budget` limits the comparisons; after that there are no more hints of this kind.
    """

    def __init__(self, known: Iterable[str], budget: int = 200_000) -> None:
        self._known = {_folded(name): name for name in known}
        self._budget = budget
        self._answers: dict[str, str] = {}

    def of(self, word: str) -> str:
        """`"did you mean `needs`?"`, or nothing."""
        if word not in self._answers:
            name = self.nearest(word)
            self._answers[word] = f"did you mean `{name}`?" if name else ""
        return self._answers[word]

    def nearest(self, word: str) -> str:
        """The known name nearest to a word that is not one, or nothing."""
        folded = _folded(word)
        if folded in self._known:
            return self._known[folded]
        if len(word) > 100 or len(self._known) > self._budget:
            return ""
        self._budget -= len(self._known)
        close = get_close_matches(folded, self._known, n=1)
        return self._known[close[0]] if close else ""


_MAX_COMPARED = 20_000
"""Names that a misspelt one is compared with by `did_you_mean`."""


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A hint for one name, or nothing. To find it must not take longer than the request that is refused."""
    return Hints(known, budget=_MAX_COMPARED).of(name)


def _folded(name: str) -> str:
    return name.casefold().replace("-", "_")


def listed(names: Iterable[str], limit: int = 8) -> str:
    """`a, b and c`; of many names the first few and how many more."""
    shown = [str(name) for name in names]
    if len(shown) > limit:
        shown = [*shown[: limit - 1], f"{len(shown) - limit + 1} more"]
    return " and ".join(", ".join(shown).rsplit(", ", 1))
