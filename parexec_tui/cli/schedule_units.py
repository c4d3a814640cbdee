"""`schedule`: the units of systemd, or the line of a crontab, that run a plan at set times. Text only."""

import re
import shlex
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

MARK = "# Written by parexec schedule for "
"""How units begin that may be replaced and removed."""


class Schedule(NamedTuple):
    """A plan that is run at set times."""

    plan: Path
    """Absolute."""
    calendar: str
    """As OnCalendar= of systemd.timer has it."""
    command: Sequence[str]
    """What runs it, with absolute paths."""
    environment: Mapping[str, str]

    @property
    def units(self) -> dict[str, str]:
        """{name of a file: its text}"""
        name = unit_name(self.plan)
        head = f"{MARK}{self.plan}\n[Unit]\nDescription=parexec: {_plain(self.plan.name)}\n"
        environment = "".join(f"Environment={_quoted(f'{key}={value}')}\n" for key, value in self.environment.items())
        command = " ".join(_quoted(word).replace("$", "$$") for word in self.command)
        service = (
            f"{head}\n[Service]\nType=oneshot\nWorkingDirectory={_plain(str(self.plan.parent))}\n{environment}"
            f"ExecStart={command}\n"
            "# parexec itself ends its tickets when it is stopped, and may give each a cgroup.\n"
            "KillMode=mixed\nDelegate=yes\n"
        )
        timer = (
            f"{head}\n[Timer]\nOnCalendar={self.calendar}\n# After a time without power it runs once.\n"
            "Persistent=true\n\n[Install]\nWantedBy=timers.target\n"
        )
        return {f"{name}.service": service, f"{name}.timer": timer}

    @property
    def cron_line(self) -> str | None:
        """The same as a line of a crontab; None: cron has no such times."""
        if (times := cron_times(self.calendar)) is None:
            return None
        words = [
            *(f"{key}={shlex.quote(value)}" for key, value in self.environment.items()),
            shlex.join(self.command),
        ]
        line = f"cd {shlex.quote(str(self.plan.parent))} && {' '.join(words)}"
        return f"{times} {line.replace('%', chr(92) + '%')}"


def unit_name(plan: Path) -> str:
    """The name of the units of a plan file, without their endings: by its own, and its folder as a digest."""
    slug = re.sub(r"[^A-Za-z0-9_]+", "-", plan.stem).strip("-") or "plan"
    return f"parexec-{slug}-{blake2b(str(plan).encode(errors='surrogateescape'), digest_size=3).hexdigest()}"


def _plain(text: str) -> str:
    """A text in which nothing is a specifier."""
    return text.replace("%", "%%")


def _quoted(word: str) -> str:
    """A word as systemd splits words."""
    return '"' + _plain(word).replace("\\", "\\\\").replace('"', '\\"') + '"'


_WORDS = {
    "minutely": "* * * * *",
    "hourly": "0 * * * *",
    "daily": "0 0 * * *",
    "weekly": "0 0 * * 1",
    "monthly": "0 0 1 * *",
    "quarterly": "0 0 1 1,4,7,10 *",
    "semiannually": "0 0 1 1,7 *",
    "yearly": "0 0 1 1 *",
    "annually": "0 0 1 1 *",
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_AT = re.compile(
    r"(?:(?P<days>[a-z.,]+)\s+)?(?:\*-\*-(?P<day>\*|\d\d?)\s+)?(?P<hour>\*|\d\d?):(?P<minute>\d\d)(?::00)?"
)


def cron_times(calendar: str) -> str | None:
    """The five fields of cron for such a time if it is a usual one, as `daily` or `Mon..Fri 02:30`; else None."""
    text = calendar.strip().lower()
    if text in _WORDS:
        return _WORDS[text]
    found = _AT.fullmatch(text)
    if found is None or (found["hour"] != "*" and int(found["hour"]) > 23) or int(found["minute"]) > 59:
        return None
    if (days := _cron_days(found["days"])) is None:
        return None
    day = found["day"] or "*"
    if day != "*" and (days != "*" or not 1 <= int(day) <= 31):
        return None  # cron runs on either, systemd on both
    hour = found["hour"] if found["hour"] == "*" else str(int(found["hour"]))
    return f"{int(found['minute'])} {hour} {day if day == '*' else int(day)} * {days}"


def _cron_days(text: str | None) -> str | None:
    """Days of the week in numbers from 1, Monday; None: they mean nothing."""
    if text is None:
        return "*"
    parts = []
    for part in text.split(","):
        ends = [end[:3] for end in part.split("..")]
        if len(ends) > 2 or not all(end in _DAYS for end in ends):
            return None
        numbers = [_DAYS.index(end) + 1 for end in ends]
        if numbers != sorted(numbers):
            return None
        parts.append("-".join(map(str, numbers)))
    return ",".join(parts)
