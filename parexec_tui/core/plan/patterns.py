"""Patterns: which paths a claim covers, and whether two claims can meet.

The idea: a pattern is a row with gaps, twice over. A path is a row of names in which `**` stands for any number of
names; a name is a row of characters in which `*` stands for any number of characters. One procedure, `_meet`,
decides for both whether two rows have a word in common.
"""

import posixpath
import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TypeVar

from msgspec import Struct

Chars = tuple[tuple[int, int], ...]
"""A set of characters as code points: ranges (first, last), sorted, with a gap between any two."""

Name = str | tuple[Chars, ...]
"""One name of a path: a plain name as it is, or a row of character sets with `_ANY` for each `*`."""

_ANY: tuple[()] = ()
"""Any number of what the row is made of: `*` in a name, `**` in a path."""

_SLASH = (ord("/"), ord("/"))
_LAST = 0x10FFFF
_ONE_CHAR: Chars = ((1, ord("/") - 1), (ord("/") + 1, _LAST))
_ONE_NAME: Name = (_ANY,)

_PLAIN_NAME = r"(?!\.\.?(?:/|\Z))[^/*?\[\\{}\0]+"
_PLAIN = re.compile(rf"{_PLAIN_NAME}(?:/{_PLAIN_NAME})*").fullmatch
_SPECIAL = re.compile(r"[*?\[{}]")


class Pattern(Struct, frozen=True, gc=False):
    """The paths that match a glob, and everything beneath them, unless the last name is a partial wildcard.

    A name may turn out to be a folder, so `docs` claims `docs/a/b.md` too, and `docs`, `docs/` and `docs/**` are
    one claim, written `docs`; `docs/*` claims the same but `docs` itself. A partial wildcard is a name with a
    wildcard in it that is not just `*`, such as `*.py` or `part-?`. At the end it means files: `src/*.py` claims
    `src/a.py`, but not `src/a.py/b`. To claim folders of such names, say so: `src/*.d/**`, or `src/*.d/`.

    `parse_pattern` makes equal patterns of different spellings of a claim.
    """

    text: str
    """The one way to write this claim: relative to `root`, or absolute when it lies outside."""
    root: str
    """The absolute folder that relative paths start from; empty for `/`."""
    head: str
    """What the absolute path of all that is claimed starts with, once a `/` is put at its end."""
    plain: bool
    """Whether there is no wildcard: `head` says it all."""

    def __str__(self) -> str:
        return self.text


def parse_pattern(text: str, root: str) -> Pattern:
    """Read a path pattern of a plan; a relative one starts at `root`, which is absolute.

    `*` is any run of characters, `?` one, `[a-z]` one of a class and `[!a-z]` one outside it; none of them is ever
    `/`. A segment `**` is any number of folders, and a `/` at the end is short for `/**`. `..` is resolved in the
    text, without looking at the disk.

    Raises ValueError that says what is wrong and what to write instead.
    """
    base = _base(root)
    if _PLAIN(text):
        return Pattern(text, base, f"{base}/{text}/", True)
    return _parse_special(text, base)


def moved(pattern: Pattern, folder: str, to: str) -> Pattern:
    """The same claim if what is called `folder`, the last literal folder of the pattern, is really `to`.

    Both are absolute, `/` at the end. Raises ValueError if a pattern cannot say it.
    """
    start = _SPECIAL.sub(r"[\g<0>]", to)
    if pattern.plain:
        return parse_pattern(start, pattern.root or "/")
    whole = pattern.text if pattern.text.startswith("/") else f"{pattern.root}/{pattern.text}"
    return parse_pattern(start + "/".join(whole.split("/")[folder.count("/") :]), pattern.root or "/")


@lru_cache(maxsize=256)
def _base(root: str) -> str:
    if not root.startswith("/"):
        raise ValueError(f"{root!r} is not an absolute path: patterns cannot start from it")
    return "/".join(["", *_split(root)])


def _split(path: str) -> list[str]:
    """The names of an absolute path, with `.` and `..` resolved."""
    return [name for name in posixpath.normpath(path).split("/") if name]


@lru_cache(maxsize=4096)
def _parse_special(text: str, base: str) -> Pattern:
    if not text:
        raise ValueError("the pattern is empty: write ** for everything in the working directory")
    if "\0" in text:
        raise ValueError(f"{text!r}: no path has a NUL character in it: remove it")
    if "\\" in text:
        raise ValueError(f"{text!r}: a backslash does not escape here: write [*] for a star itself")
    start = base.split("/")[1:]
    try:
        row = _read_path(text, [] if text.startswith("/") else start)
    except ValueError as problem:
        raise ValueError(f"{text!r}: {problem}") from None
    names = row[:-1] if row[-1] == _ANY and not any(map(_is_partial, row[-2:])) else row
    inside = names[: len(start)] == start
    canonical = "/".join(map(_write_name, names[len(start) :] if inside else names)) or "**"
    return Pattern(
        canonical if inside else "/" + canonical, base, _head(names), all(isinstance(name, str) for name in names)
    )


def _read_path(text: str, start: Sequence[str]) -> list[Name]:
    """All that `text` claims, after the names of `start`, as a row in the one form for equal claims.

    It ends in a gap if what lies beneath is claimed: written down, or implied by the name before it.
    """
    names: list[Name] = list(start)
    for segment in text.split("/"):
        name = _ANY if segment == "**" else _read_name(segment)
        if name == "..":
            if names and not isinstance(names[-1], str):
                raise ValueError("'..' after a wildcard can lead anywhere: write the path without '..'")
            del names[-1:]
        elif name not in ("", "."):
            _append(names, name, _ONE_NAME)
    if text.endswith("/") or not names or not _is_partial(names[-1]):
        _append(names, _ANY, _ONE_NAME)
    return names


def _is_partial(name: Name) -> bool:
    """Whether it is a name with a wildcard, but not just `*`: at the end of a pattern, it means files."""
    return not isinstance(name, str) and name not in (_ANY, _ONE_NAME)


def _read_name(segment: str) -> Name:
    chars: list[Chars] = []
    at = 0
    while at < len(segment):
        char = segment[at]
        if char == "[":
            end = segment.find("]", at)
            if end < 0:
                raise ValueError("'[' has no ']' before the next '/': close it, or write [[] for a bracket itself")
            _append(chars, _read_class(segment[at + 1 : end]), _ONE_CHAR)
            at = end
        elif char in "{}":
            raise ValueError("braces list nothing here: write one pattern per alternative, or [{] for a brace itself")
        else:
            _append(chars, {"*": _ANY, "?": _ONE_CHAR}.get(char, ((ord(char), ord(char)),)), _ONE_CHAR)
        at += 1
    if all(map(_is_single, chars)):
        return "".join(chr(ranges[0][0]) for ranges in chars)
    # A name is never empty, so `?*` as a whole name is `*`.
    return _ONE_NAME if chars == [_ONE_CHAR, _ANY] else tuple(chars)


def _read_class(body: str) -> Chars:
    """Read what stands between `[` and `]`."""
    members = body[1:] if body[:1] in ("!", "^") else body
    if "[:" in members:
        raise ValueError("named classes such as [:alpha:] are not known here: write [a-zA-Z]")
    ranges: list[tuple[int, int]] = []
    at = 0
    while at < len(members):
        first = last = members[at]
        if members[at + 1 : at + 2] == "-" and at + 2 < len(members):
            last = members[at + 2]
            at += 2
        if last < first:
            raise ValueError(f"the range {first}-{last} runs backwards: write {last}-{first}")
        ranges.append((ord(first), ord(last)))
        at += 1
    outside = ranges if members != body else list(_complement(ranges))
    chars = _complement([*outside, _SLASH])
    if not ranges or not chars:
        raise ValueError(f"[{body}] is an empty class: name a character in it, or write ] alone for a bracket itself")
    return chars


def _complement(ranges: Sequence[tuple[int, int]]) -> Chars:
    gaps = []
    start = 1
    for first, last in sorted(ranges):
        if first > start:
            gaps.append((start, first - 1))
        start = max(start, last + 1)
    if start <= _LAST:
        gaps.append((start, _LAST))
    return tuple(gaps)


_Part = TypeVar("_Part", Chars, Name)


def _append(row: list[_Part], part: _Part, one: _Part) -> None:
    """Add a part; runs of gaps such as `*?**` come out in one order: each `one`, then a single `_ANY`."""
    if row and row[-1] == _ANY and part in (_ANY, one):
        if part == one:
            row.insert(-1, part)
    else:
        row.append(part)


def _is_single(chars: Chars) -> bool:
    return len(chars) == 1 and chars[0][0] == chars[0][1]


def _head(names: Sequence[Name]) -> str:
    head = "/"
    for name in names:
        if not isinstance(name, str):
            for chars in name:
                if not _is_single(chars):
                    break
                head += chr(chars[0][0])
            break
        head += name + "/"
    return head


def _write_name(name: Name) -> str:
    if name == _ANY:
        return "**"
    if isinstance(name, str):
        return _SPECIAL.sub(r"[\g<0>]", name)
    return "".join(map(_write_chars, name))


def _write_chars(chars: Chars) -> str:
    if chars == _ANY:
        return "*"
    if chars == _ONE_CHAR:
        return "?"
    if _is_single(chars):
        return _SPECIAL.sub(r"[\g<0>]", chr(chars[0][0]))
    ways = [_write_members(chars), "!" + _write_members(_complement([*chars, _SLASH]))]
    # Of the two, at least one is free of `]` and `\`, since what was read was.
    return f"[{min(ways, key=lambda way: (']' in way or chr(92) in way, len(way)))}]"


def _write_members(chars: Chars) -> str:
    """Write the members of a class so that they read back: `-` leads, and neither `!` nor `^` does."""
    dash, others, signs = "", "", ""
    for first, last in chars:
        if chr(first) in "!^":
            signs += chr(first)
            first += 1
        if first > last:
            continue
        members = chr(first) if first == last else f"{chr(first)}-{chr(last)}"
        if members.startswith("-"):
            dash = members
        else:
            others += members
    return dash + others + signs


# --- Overlap ---


def overlap(a: Pattern, b: Pattern) -> bool:
    """Whether there can be a path that both claim. Exact: no path is overlooked, none made up.

    Most pairs part ways in their literal beginnings and cost a comparison of two strings.
    """
    if a.head.startswith(b.head):
        return b.plain or _overlap_special(a, b)
    if b.head.startswith(a.head):
        return a.plain or _overlap_special(a, b)
    return False


@lru_cache(maxsize=1 << 16)
def _overlap_special(a: Pattern, b: Pattern) -> bool:
    shared = min(a.head.count("/"), b.head.count("/")) - 1  # As many names are literal, and the same in both.
    return _meet(_row(a)[shared:], _row(b)[shared:], _names_meet)


def matches(pattern: Pattern, path: str) -> bool:
    """Whether the claim covers `path`: absolute, or relative to the pattern's root."""
    names = _split(posixpath.join(pattern.root or "/", path))
    full = "/".join(["", *names, ""])
    return full.startswith(pattern.head) and (pattern.plain or _meet(_row(pattern), names, _names_meet))


def depth(pattern: Pattern) -> int | None:
    """How many names a path has that the pattern covers, counted from `/`; None: there is no limit to it."""
    row = _row(pattern)
    return None if _ANY in row else len(row)


@lru_cache(maxsize=4096)
def _row(pattern: Pattern) -> tuple[Name, ...]:
    """The absolute path of a pattern as a row, with a gap at its end if what lies beneath is claimed."""
    if pattern.plain:
        return (*pattern.head.split("/")[1:-1], _ANY)
    start = [] if pattern.text.startswith("/") else pattern.root.split("/")[1:]
    return tuple(_read_path(pattern.text, start))


_Letter = TypeVar("_Letter")


def _meet(a: Sequence[_Letter], b: Sequence[_Letter], alike: Callable[[_Letter, _Letter], bool]) -> bool:
    """Whether two rows with gaps have a word in common; `alike` says it for two parts that are no gaps.

    The product of two automata, walked from the end: `row[j]` says whether `a[i:]` meets `b[j:]`. A gap on
    either side is left, or takes one part of the other side; both steps look the same in the table. So the cost
    is at most len(a) * len(b), however many gaps there are.
    """
    row = [True]
    for part in reversed(b):
        row.append(row[-1] and part == _ANY)
    row.reverse()
    for mine in reversed(a):
        after, row = row, [row[-1] and mine == _ANY]
        for j in range(len(b) - 1, -1, -1):
            if mine == _ANY or b[j] == _ANY:
                row.append(after[j] or row[-1])
            else:
                row.append(after[j + 1] and alike(mine, b[j]))
        row.reverse()
    return row[0]


def _names_meet(a: Name, b: Name) -> bool:
    if isinstance(a, str) and isinstance(b, str):
        return a == b
    return _meet(_as_chars(a), _as_chars(b), _chars_meet)


def _as_chars(name: Name) -> tuple[Chars, ...]:
    return tuple([((ord(char), ord(char)),) for char in name]) if isinstance(name, str) else name


def _chars_meet(a: Chars, b: Chars) -> bool:
    return any(first <= end and start <= last for first, last in a for start, end in b)
