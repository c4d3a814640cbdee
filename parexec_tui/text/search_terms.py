"""What to search for in a log: a text that a person typed, or what programs print when something went wrong."""

import re
from typing import NamedTuple

_LONGEST_STEM = 8
"""The letters of a word that are searched for in the bytes: so many that they are rare."""

_SEQUENCE = re.compile(
    rb"\x1b\[[0-?]*[ -/]*[@-~]"  # colours, cursor
    rb"|\x1b\][^\x07\x1b\n]*(?:\x07|\x1b\\)?"  # titles, links, clipboard
    rb"|\x1b[PX^_][^\x1b\n]*(?:\x1b\\)?"  # other strings
    rb"|\x1b[ -/]*[0-~]?"  # the rest
)
"""Escape sequences in bytes, as `words.UNPRINTABLE` has them for text; none crosses the end of its line."""


class SearchTerm(NamedTuple):
    """What to search for."""

    pattern: re.Pattern[str]
    """Decides, on a line as it is shown."""
    stems: tuple[bytes, ...]
    """In lower case if `folds`. A line without any of them has no match."""
    folds: bool
    broken: tuple[bytes, ...] = ()
    """The beginnings of a stem that an escape sequence cuts in two, in every way it can."""

    def may_be_in(self, data: bytes) -> bool:
        """Whether bytes may contain a match, so that they have to be decoded."""
        raw = data.lower() if self.folds else data
        if any(stem in raw for stem in self.stems):
            return True
        if not any(beginning in raw for beginning in self.broken):
            return False
        plain = _SEQUENCE.sub(b"", data)
        return any(stem in (plain.lower() if self.folds else plain) for stem in self.stems)


def search_term(text: str) -> SearchTerm:
    """Search for a text. Case counts if it has a capital letter, and always for letters beyond ASCII."""
    folds = text == text.lower()
    pattern = re.compile(re.escape(text), re.IGNORECASE | re.ASCII if folds else 0)
    stem = max(re.findall(r"\w+", text) or [text], key=len)[:_LONGEST_STEM]
    broken = (stem[:length] + "\x1b" for length in range(1, len(stem)))
    return SearchTerm(pattern, (_encoded(stem),), folds, tuple(map(_encoded, broken)))


def line_term(line: str) -> SearchTerm:
    """Search for a line as `error_line` has it: blanks may be others in the log, and its ends may be cut off."""
    words = line.removeprefix("...").removesuffix("...").split()
    term = search_term(max(words, key=len, default=""))
    return term._replace(pattern=re.compile(r"\s+".join(map(re.escape, words))), folds=False)


def _encoded(text: str) -> bytes:
    return text.encode(errors="replace")


ERRORS = SearchTerm(
    re.compile(
        r"(?<!\b0 )(?<!\bno )"
        r"\b(?:\w*(?:error|exception)s?|fail(?:ed|ures?)?|fatal|panic(?:ked)?|traceback|assert(?:ion)?|abort(?:ed)?"
        r"|not ok|core dumped|segmentation fault)\b",
        re.IGNORECASE | re.ASCII,
    ),
    (
        b"error",
        b"except",
        b"fail",
        b"fatal",
        b"panic",
        b"traceback",
        b"assert",
        b"abort",
        b"not ok",
        b"core d",
        b"segm",
    ),
    folds=True,
)
"""What most programs print when something went wrong; `0 errors` and `no errors` are good news.

A word has to stand alone, or at the end of a name as in `ValueError`: `failover` and `error_count` do not match. A
word of which half is in another colour is not found.
"""
