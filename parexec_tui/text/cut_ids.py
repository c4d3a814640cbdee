"""Ids in fewer cells than they have, so that no two look alike. Ids are ASCII: a letter takes a cell."""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

_WORDS = re.compile(r"([A-Za-z0-9_.\-]+)")

_LIMITS = (32, 24, 20, 16, 13, 10, 8)
"""Cells that an id in a sentence may have, tried in this order until the sentence fits."""

_WHOLE = 12
"""An id in a sentence of so many cells or fewer is not cut: it would gain too little."""

_WORD_IN_ID = re.compile(r"([A-Za-z0-9]+)")

_SHORTEST_WORD = 3

_IN_LONG = 13
"""The same in a sentence that fits with none of them."""


class IdCutter:
    """Cuts the ids of a list, each when it is asked for: at most so many cells, and a form that no other has.

    An id loses its middle. Where others might look the same then, it loses the words that most ids have, and then the
    ends of long words: `config-front…x86`; else it keeps the part in which it differs from its neighbours in
    alphabetical order. Where even that does not help, its place among the ids follows: `shard-…#312`. In fewer cells
    than that takes, ids may look alike. A form stays as long as the cutter.
    """

    def __init__(self, ids: Iterable[str], sign: str = "…") -> None:
        """Costs O(n log n)."""
        self._sign = sign
        self._places = {id_: place for place, id_ in enumerate(ids, 1)}
        self._sorted = sorted(self._places)
        self._by_end = sorted(id_[::-1] for id_ in self._places)
        self._counts: Counter[str] = Counter()
        """In how many ids each word is; empty until it is needed."""
        self._forms: dict[int, dict[str, str]] = {}
        self._taken: dict[int, set[str]] = {}

    def cut(self, id_: str, width: int) -> str:
        """The id in at most `width` cells. Costs O(log n); of one that is not in the list, only its middle is cut."""
        if len(id_) <= width:
            return id_
        forms = self._forms.setdefault(width, {})
        if id_ not in forms:
            taken = self._taken.setdefault(width, set())
            plain = _form(id_, width, self._sign, None)
            if id_ not in self._places:
                return plain
            free = (form for form in self._candidates(id_, width) if form and form not in taken)
            forms[id_] = form = next(free, plain)
            taken.add(form)
        return forms[id_]

    def _candidates(self, id_: str, width: int) -> Iterator[str]:
        room = max(0, width - len(self._sign))
        plain = _form(id_, width, self._sign, None)
        differs = _in_common(self._sorted, id_)
        if differs < room - room // 2 or _in_common(self._by_end, id_[::-1]) < room // 2:
            yield plain  # no other begins, or ends, with the letters that are left
        else:
            yield self._by_words(id_, width)
            yield _form(id_, width, self._sign, differs)
        tag = f"{self._sign}#{self._places[id_]}"
        yield (id_[: max(0, width - len(tag))] + tag)[:width]

    def _by_words(self, id_: str, width: int) -> str:
        """The id without the words that most others have, and then with shorter ones; empty if that is not enough."""
        if not self._counts:
            self._counts.update(word for known in self._places for word in set(_WORD_IN_ID.findall(known)))
        pieces = _WORD_IN_ID.split(id_)  # separators and words in turns, see `re.split`
        words = list(range(1, len(pieces), 2))
        if not words:
            return ""
        kept = dict.fromkeys(words, 0) | {at: len(pieces[at]) for at in words}
        commonest = sorted(words, key=lambda at: (-self._counts[pieces[at]], -at))
        for at in commonest[: max(0, len(words) - 2)]:
            if len(_joined(pieces, kept, self._sign)) <= width:
                break
            if self._counts[pieces[at]] * 3 < len(self._places) * 2:
                break  # it tells more than the ends of long words do
            kept[at] = 0
        while len(form := self._marked(_joined(pieces, kept, self._sign))) > width:
            longest = max(words, key=kept.__getitem__)
            if kept[longest] <= _SHORTEST_WORD:
                return ""
            kept[longest] -= 1
        return form

    def _marked(self, form: str) -> str:
        """With the sign that something is left out: else it could be the id of another ticket."""
        return form if self._sign in form else form + self._sign


def _joined(pieces: Sequence[str], kept: Mapping[int, int], sign: str) -> str:
    """An id of which so many letters of each word are kept; `sign` stands for words that are left out."""
    parts: list[str] = []
    for at, letters in kept.items():
        if not letters:
            if not parts or parts[-1] != sign:
                parts.append(sign)
            continue
        if parts and parts[-1] != sign:
            parts.append(pieces[at - 1])
        parts.append(pieces[at][:letters])
    return "".join(parts)


def _in_common(ordered: Sequence[str], text: str) -> int:
    """The most letters with which this one and another of the texts begin."""
    at = bisect_left(ordered, text)
    after = at + 1 if at < len(ordered) and ordered[at] == text else at
    return max(
        _common(text, ordered[at - 1]) if at else 0,
        _common(text, ordered[after]) if after < len(ordered) else 0,
    )


def _common(one: str, other: str) -> int:
    """How many letters two texts have in common at their beginnings."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _form(id_: str, width: int, sign: str, differ: int | None) -> str:
    """An id without its middle; with the word that has the letter `differ`, where that is given."""
    room = width - len(sign)
    if differ is None or room < 2:
        tail = max(0, room) // 2
        return id_[: max(0, room - tail)] + sign[: max(0, width)] + (id_[-tail:] if tail else "")
    start = max(id_.rfind(separator, 0, differ) + 1 for separator in "-_.")
    if differ - start >= room // 2:  # a long word: the letter itself has to be in what is kept
        start = differ
    head = min(start, max(1, room // 3))
    kept = id_[start:]
    begin = id_[:head] + (sign if start > head else "")
    room = width - len(begin)
    if len(kept) <= room:  # the whole end of it, and what fits before that
        return id_[:head] + sign + id_[len(id_) - (width - head - len(sign)) :]
    tail = max(0, (room - len(sign)) // 4)
    return begin + kept[: max(0, room - len(sign) - tail)] + sign[:room] + (id_[-tail:] if tail else "")


def with_short_ids(text: str, width: int, is_id: Callable[[str], bool], short: Callable[[str, int], str]) -> str:
    """A sentence with its ids cut as far as it needs to fit in `width`, so that its words stay.

    `short`: an id in so many cells. The sentence may still be too long.
    """
    if len(text) <= width:
        return text
    pieces = _WORDS.split(text)
    ids = [at for at in range(1, len(pieces), 2) if len(pieces[at]) > _WHOLE and is_id(pieces[at])]
    if not ids:
        return text

    def cut(limit: int) -> str:
        return "".join(short(piece, limit) if at in ids else piece for at, piece in enumerate(pieces))

    return next((fitted for fitted in map(cut, _LIMITS) if len(fitted) <= width), None) or cut(_IN_LONG)
