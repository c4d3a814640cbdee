"""Which attempts lately read from disks and wrote to them."""

from collections.abc import Sequence

from parexec_tui.core.wire.protocol import Usage

LATELY = 10.0
"""Seconds: those of which the kernel tells how long processes waited for disks."""

_Attempt = tuple[str, int]


class DiskUse:
    """What the looks at the live attempts found, each one compared with the one before."""

    def __init__(self) -> None:
        self._totals: dict[tuple[str, int, str], int] | None = None
        """Of each step; None before the first look, which cannot tell how long ago it was."""
        self._found: dict[_Attempt, list[tuple[float, int]]] = {}
        """When, and how many bytes."""

    def note(self, usages: Sequence[Usage], now: float) -> None:
        """What the live attempts have used so far. `now`: seconds of a clock that does not jump."""
        before, self._totals = self._totals, {}
        found: dict[_Attempt, list[tuple[float, int]]] = {}
        for each in usages:
            key, total = (each.ticket, each.attempt, each.step), each.disk_read + each.disk_written
            self._totals[key] = total
            attempt = each.ticket, each.attempt
            if attempt not in found:
                found[attempt] = [(at, more) for at, more in self._found.get(attempt, ()) if now - at < LATELY]
            if before is not None and total > (earlier := before.get(key, 0)):
                found[attempt].append((now, total - earlier))
        self._found = found

    def lately(self) -> dict[_Attempt, int]:
        """{(ticket, attempt): bytes} of those that read or wrote in the seconds before the last look, or since the
        look before it."""
        return {attempt: sum(more for _, more in looks) for attempt, looks in self._found.items() if looks}
