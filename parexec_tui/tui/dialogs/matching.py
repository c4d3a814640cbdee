"""Finds commands and names by a few letters.

Our own instead of `textual.fuzzy`: that tries every way to place the letters, so one name that repeats a letter can
hold the screen up for a second. It takes four times as long for 10,000 names, at each key. And it does not put names
first that begin with the letters.
"""

from collections.abc import Iterable, Sequence
from itertools import islice

_STARTS, _STARTS_WORD, _HAS, _HAS_LETTERS = range(4)
"""How well a word matches: at the start of a name, at the start of a word in it, anywhere, or only its letters in
order."""

_TEXT = 4
"""The rank of a word that is only in the text."""


def rank(words: Sequence[str], name: str, text: str = "") -> int | None:
    """How well all words match a name, or else the text that goes with it: lower is better; None: they do not."""
    total = 0
    for word in words:
        found = _rank(word.lower(), name.lower())
        if found is None:
            found = _TEXT if word.lower() in text.lower() else None
        if found is None:
            return None
        total += found
    return total


def _rank(word: str, name: str) -> int | None:
    at = name.find(word)
    if at == 0:
        return _STARTS
    if at > 0:
        starts_word = any(name.find(f"{sign}{word}") >= 0 for sign in " -_.:/")
        return _STARTS_WORD if starts_word else _HAS
    letters = iter(name)
    return _HAS_LETTERS if all(letter in letters for letter in word) else None


def best(word: str, names: Iterable[str], limit: int) -> list[str]:
    """The best matches of a word among the names, in their order where they match equally well."""
    if not word:
        return list(islice(names, limit))
    word = word.lower()
    found: list[tuple[int, int, str]] = []
    starting = 0
    for at, name in enumerate(names):
        if (place := _rank(word, name.lower())) is not None:
            found.append((place, at, name))
            starting += place == _STARTS
            if starting == limit:
                break  # no other is better
    return [name for _, _, name in sorted(found)[:limit]]
