"""When a limit ends, out of what a provider says: "try again at 10:44 PM", "resets 3am (Europe/Paris)", "in 2h"."""

import re
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

JUST_PAST = 120.0
"""Seconds: a clock time, which has no seconds, that is past by no more than this is meant as now, not as tomorrow."""

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")

_CLOCK = re.compile(
    r"(?:resets?|again|until|available|after)\b[^\d\n]{0,20}?"
    r"(?:(?P<month>jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?\s+(?P<day>\d{1,2})(?:st|nd|rd|th)?,?\s*"
    r"(?:(?P<year>\d{4}),?\s*)?(?:at\s+)?)?"
    r"(?P<hour>\d{1,2})(?::(?P<minute>\d{2}))?\s*(?P<half>[ap]\.?m\b\.?)?"
    r"(?:\s*\(?(?P<zone>utc|gmt|z\b|[a-z]+/[a-z_+\-0-9/]+)\)?)?",
    re.IGNORECASE,
)
_STAMP = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?")
_LENGTH = re.compile(r"(?:in|after|for)\s+((?:\d+(?:\.\d+)?\s*[a-z]+\.?[\s,]*(?:and\s+)?)+)", re.IGNORECASE)
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*([a-z]+)", re.IGNORECASE)
_UNITS = (
    ("ms", 0.001, ("ms", "millisecond", "milliseconds")),
    ("s", 1.0, ("s", "sec", "secs", "second", "seconds")),
    ("m", 60.0, ("m", "min", "mins", "minute", "minutes")),
    ("h", 3600.0, ("h", "hr", "hrs", "hour", "hours")),
    ("d", 86400.0, ("d", "day", "days")),
)
_SECONDS = {name: seconds for _, seconds, names in _UNITS for name in names}


def reset_of(text: str, now: float) -> float | None:
    """The time on the Unix clock at which a text says that a limit ends; None: it says none that can be read.

    A clock time without a date is the next such time, in the zone that stands behind it, else in this machine's.
    """
    for read in (_stamp, _length, _clock):
        try:
            until = read(text, now)
        except (ValueError, OverflowError, OSError, KeyError):
            continue
        if until is not None:
            return until
    return None


def _stamp(text: str, _now: float) -> float | None:
    found = _STAMP.search(text)
    return None if found is None else datetime.fromisoformat(found[0]).timestamp()


def _length(text: str, now: float) -> float | None:
    for found in _LENGTH.finditer(text):
        parts = [(float(size), _SECONDS.get(unit.lower())) for size, unit in _PART.findall(found[1])]
        known = [size * seconds for size, seconds in parts if seconds is not None]
        if known:
            return now + sum(known)
    return None


def _clock(text: str, now: float) -> float | None:
    for found in _CLOCK.finditer(text):
        if found["half"] is None and found["minute"] is None and found["month"] is None:
            continue  # a bare number behind such a word is a count, not a time
        zone = _zone(found["zone"])
        here = datetime.fromtimestamp(now, zone).astimezone(zone)
        hour = int(found["hour"])
        if found["half"] is not None:
            hour = hour % 12 + (12 if found["half"].lower().startswith("p") else 0)
        at = here.replace(hour=hour, minute=int(found["minute"] or 0), second=0, microsecond=0)
        if found["month"] is None:
            return (at if at.timestamp() > now - JUST_PAST else at + timedelta(days=1)).timestamp()
        at = at.replace(month=_MONTHS.index(found["month"].lower()) + 1, day=int(found["day"]))
        if found["year"] is not None:
            return at.replace(year=int(found["year"])).timestamp()
        return (at if at.timestamp() > now - 86400.0 else at.replace(year=at.year + 1)).timestamp()
    return None


def _zone(name: str | None) -> tzinfo | None:
    if name is None:
        return None
    return UTC if name.lower() in ("utc", "gmt", "z") else ZoneInfo(name)
