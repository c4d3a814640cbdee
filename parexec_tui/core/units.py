"""Durations and sizes, as people write them."""

import re

_DURATION_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_DURATION_PART = re.compile(r"\s*(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)\s*")
_SIZE_UNITS = {
    "": 1, "B": 1,
    "KB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12,
    "KIB": 2**10, "MIB": 2**20, "GIB": 2**30, "TIB": 2**40,
    "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40,
}  # fmt: skip
_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*")


class Duration(float):
    """A length of time in seconds, never negative."""

    @classmethod
    def parse(cls, value: object) -> "Duration":
        """Read `"90s"`, `"1h 30m"`, `"250ms"`, or a plain number of seconds.

        Raises ValueError, with what is accepted, for anything else.
        """
        if isinstance(value, int | float) and not isinstance(value, bool):
            # `not (0 <= nan)`: NaN fails every comparison, so this refuses it along with infinity.
            if not 0 <= value < float("inf"):
                raise ValueError(f"{value} is not a duration: it must be finite and not negative")
            return cls(value)
        if isinstance(value, str):
            total, at = 0.0, 0
            while match := _DURATION_PART.match(value, at):
                total += float(match[1]) * _DURATION_UNITS[match[2]]
                at = match.end()
            if at == len(value) and at > 0:
                return cls(total)
        raise ValueError(f"{value!r} is not a duration: write for instance 45s, 30m, 1h30m, 250ms or 2d")


class Size(int):
    """A number of bytes, never negative."""

    @classmethod
    def parse(cls, value: object) -> "Size":
        """Read `"512MiB"`, `"2G"`, `"1.5GB"`, or a plain number of bytes.

        K, M, G and T alone are binary, as in `ls -h` and Slurm. Raises ValueError for anything else.
        """
        if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
            return cls(value)
        if isinstance(value, str) and (match := _SIZE.fullmatch(value)):
            unit = _SIZE_UNITS.get(match[2].upper())
            if unit is not None:
                return cls(int(float(match[1]) * unit))
        raise ValueError(f"{value!r} is not a size: write for instance 512MiB, 2G, 1.5GB or a number of bytes")


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


def format_size(size: float) -> str:
    """Write a number of bytes in the largest binary unit that leaves at least 1: `512MiB`, `1.5GiB`."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f}{unit}" if size >= 10 or size == int(size) else f"{size:.1f}{unit}"
        size /= 1024
    return f"{size:.1f}TiB"
