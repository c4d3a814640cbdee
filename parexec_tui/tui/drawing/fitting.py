"""Pieces of a line that give way in order, so that what matters is never dropped without a word."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from parexec_tui.text.cells import width_of


class Words(NamedTuple):
    """A piece of a line, in full and short."""

    full: str
    short: str
    """What is left of it where there is little room; empty: it may be left out without a word."""
    meaning: str
    """The style, by meaning."""
    least: str = ""
    """What is left of it before the first piece of the line gives way; empty: `short`."""
    is_minor: bool = False
    """On the right side: it is left out before a piece of the left side is only counted."""


class Fitted(NamedTuple):
    """What of a line fits: each piece with its style."""

    left: Sequence[tuple[str, str]]
    more: int
    """Pieces of the left side that do not fit, not even short."""
    right: Sequence[tuple[str, str]]


def fit(left: Sequence[Words], right: Sequence[Words], width: int, *, firm: int = 0, gap: int = 2) -> Fitted:
    """Fit pieces at both sides of a line.

    Those that may be left out go first; then the left ones become short, the last one first, up to the first `firm`
    ones; then the right ones, the first one first; then the firm ones but the first; then the right ones are as short
    as they can be, and the first firm one is short; then minor ones are left out, the first one first. At last left
    ones are only counted, the last one first.
    """
    fitted = Fitted((), len(left), ())
    for fitted in _candidates(left, right, min(firm, len(left))):
        if _width(fitted, gap) <= width:
            return fitted
    return fitted


def more_text(count: int) -> str:
    """What stands for pieces that did not fit."""
    return f"+{count} more" if count else ""


def _candidates(left: Sequence[Words], right: Sequence[Words], firm: int) -> Iterator[Fitted]:
    """The ways to say it, the roomiest first."""
    kept = [words for words in right if words.short]
    yield Fitted(_full(left), 0, _full(right))
    for full in range(len(left), firm - 1, -1):
        yield Fitted([*_full(left[:full]), *_short(left[full:])], 0, _full(kept))
    for short in range(1, len(kept) + 1):
        shortened = [*_short(kept[:short]), *_full(kept[short:])]
        yield Fitted([*_full(left[:firm]), *_short(left[firm:])], 0, shortened)
    for full in range(firm - 1, 0, -1):
        yield Fitted([*_full(left[:full]), *_short(left[full:])], 0, _short(kept))
    for full in range(min(firm, 1), -1, -1):
        yield Fitted([*_full(left[:full]), *_short(left[full:])], 0, _least(kept))
    for minor in [words for words in kept if words.is_minor]:
        kept.remove(minor)
        yield Fitted(_short(left), 0, _least(kept))
    for shown in range(len(left) - 1, -1, -1):
        yield Fitted(_short(left[:shown]), len(left) - shown, _least(kept))


def _full(words: Sequence[Words]) -> list[tuple[str, str]]:
    return [(each.full, each.meaning) for each in words]


def _short(words: Sequence[Words]) -> list[tuple[str, str]]:
    return [(each.short, each.meaning) for each in words]


def _least(words: Sequence[Words]) -> list[tuple[str, str]]:
    return [(each.least or each.short, each.meaning) for each in words]


def _width(fitted: Fitted, gap: int) -> int:
    texts = [text for text, _ in fitted.left] + ([more_text(fitted.more)] if fitted.more else [])
    left = sum(width_of(text) + gap for text in texts) - (gap - 1)
    return 1 + left + sum(width_of(text) + 1 for text, _ in fitted.right)
