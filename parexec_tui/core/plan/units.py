"""Durations, sizes and counts, as people write them."""

import re
from math import inf
from typing import Annotated

from msgspec import Meta

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"\s*([0-9]{1,30}(?:\.[0-9]{1,30})?)\s*(ms|s|m|h|d)\s*")
DURATION_PATTERN = r"(\s*[0-9]{1,30}(\.[0-9]{1,30})?\s*(ms|s|m|h|d))+\s*"
"""What `Duration.parse` reads, for a JSON Schema."""
_SIZE_UNITS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
    "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"\s*([0-9]{1,30})(\.[0-9]{1,30})?\s*([A-Za-z]*)\s*")
SIZE_PATTERN = r"\s*[0-9]{1,30}(\.[0-9]{1,30})?\s*([KkMmGgTt]?[Bb]?|[KkMmGgTt][Ii][Bb])\s*"
"""What `Size.parse` reads, for a JSON Schema."""

FACTOR_PATTERN = r"x(?:[1-9][0-9]{0,2}(?:\.[0-9]{1,3})?)"
"""What `Factor.parse` reads, for a JSON Schema."""

MONEY_PATTERN = r"\$[0-9]{1,9}(\.[0-9]{1,4})?"
"""What `Money.parse` reads, for a JSON Schema."""

_TOKEN_UNITS = {"": 1, "k": 10**3, "M": 10**6}
_TOKENS = re.compile(r"([0-9]{1,12})(\.[0-9]{1,6})?([kM]?)")
TOKENS_PATTERN = r"[0-9]{1,12}(\.[0-9]{1,6})?[kM]?"
"""What `TokenCount.parse` reads, for a JSON Schema."""

MAX_TOKENS = 10**15
"""More tokens than anybody has."""

MAX_DURATION = 100 * 366 * 86400.0
"""A hundred years, in seconds: a longer duration is a slip, and could not be added to a date."""

MAX_SIZE = 2**63 - 1
"""Bytes: what a system can count of memory or of a disk."""

MAX_COUNT = 1_000_000
"""The highest count a plan may name: of agents, tickets at once."""

Count = Annotated[int, Meta(ge=0, le=MAX_COUNT)]
CountFromOne = Annotated[int, Meta(ge=1, le=MAX_COUNT)]


def shown(value: object) -> str:
    """A value for a message, shortened if it is long."""
    text = repr(value) if not isinstance(value, int) or abs(value) < 10**40 else "a number this large"
    return text if len(text) <= 60 else f"{text[:50]}…{text[-1]}"


_HAS_SPECIAL = re.compile(r"""[\s,;"'\\\x00-\x1f\x7f-\x9f]|\A\Z""").search
"""What makes unclear in a sentence where a name begins and ends."""

_IS_ESCAPED = re.compile(r'["\\\x00-\x1f\x7f]')
_ESCAPES = dict(zip('\a\b\t\n\v\f\r"\\', 'abtnvfr"\\', strict=True))


def quoted_name(name: str) -> str:
    """The name of a file for a sentence: as it is, or in quotes and escaped as git does, if it has blanks or such."""
    if _HAS_SPECIAL(name) is None:
        return name
    escaped = _IS_ESCAPED.sub(lambda found: f"\\{_ESCAPES.get(found[0], f'{ord(found[0]):03o}')}", name)
    return f'"{escaped}"'


class Duration(float):
    """A length of time in seconds, never negative."""

    @classmethod
    def parse(cls, value: object) -> "Duration":
        """Read `"90s"`, `"1h 30m"`, `"250ms"`, or a plain number of seconds.

        Raises ValueError, with what is accepted, for anything else.
        """
        if isinstance(value, int | float) and not isinstance(value, bool):
            return cls(_checked(value))
        if isinstance(value, str):
            total, at = 0.0, 0
            while match := _DURATION_PART.match(value, at):
                total += float(match[1]) * _DURATION_UNITS[match[2]]
                at = match.end()
            if at == len(value) and at > 0:
                return cls(_checked(total))
        raise ValueError(f"{shown(value)} is not a duration: write for instance 45s, 30m, 1h30m, 250ms or 2d")


class Lease(float):
    """A length of time in seconds, more than 0; infinite for `never`."""

    @classmethod
    def parse(cls, value: object) -> "Lease":
        """Read a duration, or `"never"`. Raises ValueError for anything else, and for no time at all."""
        if value == NEVER:
            return cls(inf)
        try:
            seconds = Duration.parse(value)
        except ValueError as error:
            raise ValueError(f'{error}, or "{NEVER}"') from None
        if not seconds:
            raise ValueError(f'a lease of {shown(value)} would end at once: write for instance 30m, or "{NEVER}"')
        return cls(seconds)

    @property
    def told(self) -> float | str:
        """The same as `parse` reads it."""
        return NEVER if self == inf else float(self)


NEVER = "never"
"""Of a lease: it does not end."""


def _checked(seconds: float) -> float:
    # `not (0 <= nan)`: NaN fails every comparison, so this refuses it along with infinity.
    if not 0 <= seconds <= MAX_DURATION:
        raise ValueError(f"{shown(seconds)} is not a duration: it must be from 0 to 100 years, in seconds")
    return seconds


class Size(int):
    """A number of bytes, never negative."""

    @classmethod
    def parse(cls, value: object) -> "Size":
        """Read `"512MiB"`, `"2G"`, `"1.5GB"`, or a plain number of bytes.

        K, M, G and T alone are binary, as in `ls -h` and Slurm. Raises ValueError for anything else.
        """
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_SIZE:
            return cls(value)
        if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
            whole, fraction, unit = int(match[1]), float(match[2] or 0), _SIZE_UNITS.get(match[3].upper())
            if unit is not None:
                size = whole * unit + int(fraction * unit)
                if size <= MAX_SIZE:
                    return cls(size)
                raise ValueError(f"{shown(value)} is not a size: it must be from 0 to {MAX_SIZE} bytes")
        raise ValueError(f"{shown(value)} is not a size: write for instance 512MiB, 2G, 1.5GB or a number of bytes")


class Factor(float):
    """By how much something is multiplied; more than 1."""

    @classmethod
    def parse(cls, value: object) -> "Factor":
        """Read `"x2"` or `"x1.5"`. Raises ValueError for anything else."""
        if isinstance(value, str) and re.fullmatch(FACTOR_PATTERN, value) and (factor := float(value[1:])) > 1:
            return cls(factor)
        raise ValueError(f'{shown(value)} does not say how much more: write for instance "x2" or "x1.5"')


class NothingError(ValueError):
    """It is an amount of money, but none that a budget can be."""


class Money(float):
    """US dollars; more than none."""

    @classmethod
    def parse(cls, value: object) -> "Money":
        """Read `"$2"` or `"$0.50"`. Raises ValueError for anything else."""
        if isinstance(value, str) and re.fullmatch(MONEY_PATTERN, value):
            if (dollars := float(value[1:])) > 0:
                return cls(dollars)
            raise NothingError(f'{shown(value)} allows nothing: a budget is more than nothing, for instance "$0.50"')
        raise ValueError(f'{shown(value)} is no amount of money: write US dollars, for instance "$2" or "$0.50"')


class TokenCount(int):
    """A number of tokens; at least one."""

    @classmethod
    def parse(cls, value: object) -> "TokenCount":
        """Read `"2M"`, `"1.5M"`, `"500k"`, or a plain number. Raises ValueError for anything else."""
        count = 0
        if isinstance(value, int) and not isinstance(value, bool):
            count = value
        elif isinstance(value, str) and (match := _TOKENS.fullmatch(value)) is not None:
            unit = _TOKEN_UNITS[match[3]]
            count = int(match[1]) * unit + round(float(match[2] or 0) * unit)
        if 0 < count <= MAX_TOKENS:
            return cls(count)
        raise ValueError(f'{shown(value)} is no number of tokens: write for instance "2M", "500k" or 200000')


def write_money(dollars: float) -> str:
    """Write US dollars so that `Money.parse` reads the same: `$2`, `$0.50`."""
    cents = f"{dollars:.2f}"
    return (
        f"${dollars:.0f}" if dollars == int(dollars) else f"${cents if float(cents) == dollars else f'{dollars:.4f}'}"
    )


def write_tokens(count: int) -> str:
    """Write a number of tokens so that `TokenCount.parse` reads the same: `2M`, `500k`, or `1234`."""
    for unit, size in (("M", 10**6), ("k", 10**3)):
        if count % size == 0:
            return f"{count // size}{unit}"
    return str(count)


def write_factor(factor: float) -> str:
    """Write a factor so that `Factor.parse` reads the same: `x2`, `x1.5`."""
    return f"x{factor:.10g}"


def format_duration(seconds: float) -> str:
    """Write a duration in at most two units: `0.42s`, `12.3s`, `4m05s`, `2h14m`, `3d04h`."""
    if seconds < 1:
        return f"{max(seconds, 0.0):.2f}s"
    if seconds < 59.95:
        return f"{seconds:.1f}s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60}m{whole % 60:02d}s"
    if whole < 86400:
        return f"{whole // 3600}h{whole % 3600 // 60:02d}m"
    return f"{whole // 86400}d{whole % 86400 // 3600:02d}h"


def write_duration(seconds: float) -> str:
    """Write a duration so that `Duration.parse` reads the same: `1h30m`, `2.5s`."""
    if seconds != int(seconds) or not seconds:
        shortest = repr(float(seconds))
        return (f"{seconds:.30f}" if "e" in shortest else shortest).rstrip("0").rstrip(".") + "s"
    text, left = "", int(seconds)
    for unit in ("d", "h", "m", "s"):
        count, left = divmod(left, int(_DURATION_UNITS[unit]))
        text += f"{count}{unit}" if count else ""
    return text


def write_lease(lease: "Lease") -> str:
    """Write a lease so that `Lease.parse` reads the same: `30m`, `never`."""
    return NEVER if lease == inf else write_duration(lease)


def write_size(size: int) -> str:
    """Write a number of bytes so that `Size.parse` reads the same: `512MiB`, or `1000`."""
    for unit in ("TiB", "GiB", "MiB", "KiB"):
        count, left = divmod(size, _SIZE_UNITS[unit.upper()])
        if count and not left:
            return f"{count}{unit}"
    return str(size)


def format_size(size: float) -> str:
    """Write a number of bytes in the largest binary unit that leaves at least 1: `512MiB`, `1.5GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f}{unit}" if size >= 10 or size == int(size) else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}TiB"


def format_count(count: int, noun: str, nouns: str = "") -> str:
    """`1 file`, `12 files`. `nouns`: the plural, if it is not the noun with an `s`."""
    return f"{count} {noun if count == 1 else nouns or noun + 's'}"


def format_money(dollars: float) -> str:
    """Write US dollars with their cents, few of them with parts of a cent: `$3.12`, `$50`, `$0.0042`."""
    if dollars == int(dollars):
        return f"${dollars:,.0f}"
    return f"${dollars:,.2f}" if dollars >= 0.1 or round(dollars, 4) == round(dollars, 2) else f"${dollars:.4f}"


def format_tokens(count: int) -> str:
    """Write a number of tokens in three digits or so: `950`, `8.4k`, `84k`, `4.1M`."""
    if count < 1000:
        return str(count)
    unit, size = ("k", 10**3) if count < 999_500 else ("M", 10**6)
    return f"{count / size:.{count < 9.95 * size:d}f}{unit}"
