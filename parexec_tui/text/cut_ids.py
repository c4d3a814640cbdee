"""Ids in fewer cells than they have, so that no two look alike. Ids are ASCII: a letter takes a cell."""

import re
from collections.abc import Callable, Iterable, Sequence

_WORDS = re.compile(r"([A-Za-z0-9_.\-]+)")

_LIMITS = (32, 24, 20, 16, 13, 10, 8)
"""Cells that an id in a sentence may have, tried in this order until the sentence fits."""

_WHOLE = 12
"""An id in a sentence of so many cells or fewer is not cut: it would gain too little."""

_IN_LONG = 13
"""The same in a sentence that fits with none of them."""


def cut_apart(ids: Iterable[str], width: int, sign: str = "…") -> dict[str, str]:
    """The ids that are longer than `width`, each with a form of at most so many cells that no other id has.

    An id loses its middle; where others would look the same then, it keeps the part in which they differ. Where even
    that does not help, its place among the ids follows: `shard-…#312`. In fewer cells than that takes, ids may look
    alike.
    """
    known = list(ids)
    forms: dict[str, str] = {}
    taken: set[str] = set()
    groups = [[id_ for id_ in known if len(id_) > width]]
    at = 0
    while groups:
        later = []
        for group in groups:
            by_form: dict[str, list[str]] = {}
            differ = _common(min(group), max(group)) if at else None
            for id_ in group:
                by_form.setdefault(_form(id_, width, sign, differ), []).append(id_)
            for form, alike in by_form.items():
                if len(alike) == 1 and form not in taken:
                    forms[alike[0]] = form
                    taken.add(form)
                elif len(alike) < len(group) or not at:
                    later.append(alike)
                else:
                    forms |= _numbered(alike, known, width, sign)
        groups, at = later, at + 1
    return forms


def _common(one: str, other: str) -> int:
    """How many letters two texts have in common at their beginnings."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _form(id_: str, width: int, sign: str, differ: int | None) -> str:
    """An id without its middle; with the letters from `differ` on, where that is given."""
    room = width - len(sign)
    if differ is None or room < 2:
        tail = max(0, room) // 2
        return id_[: max(0, room - tail)] + sign[: max(0, width)] + (id_[-tail:] if tail else "")
    head = min(differ, max(1, room // 3))
    kept = id_[differ:]
    begin = id_[:head] + (sign if differ > head else "")
    room = width - len(begin)
    if len(kept) <= room:  # the whole end of it, and what fits before that
        return id_[:head] + sign + id_[len(id_) - (width - head - len(sign)) :]
    tail = max(0, (room - len(sign)) // 4)
    return begin + kept[: max(0, room - len(sign) - tail)] + sign[:room] + (id_[-tail:] if tail else "")


def _numbered(alike: Sequence[str], known: Sequence[str], width: int, sign: str) -> dict[str, str]:
    wanted = set(alike)
    tags = {id_: f"{sign}#{place}" for place, id_ in enumerate(known, 1) if id_ in wanted}
    return {id_: (id_[: max(0, width - len(tag))] + tag)[:width] for id_, tag in tags.items()}


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
