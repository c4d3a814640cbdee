"""Who is to blame when what tickets print fills the disk. Pure."""

from collections.abc import Mapping

from msgspec import Struct

from parexec_tui.core.state.process_key import ProcessKey

AHEAD = 2.0
"""Seconds: a disk that logs would fill down to its floor in less time is in danger."""

FILLS_WITHIN = 60.0
"""Seconds: a log is a flood if it writes in less time as much as is free, or as the floor if that is less."""

BLAMED = 0.5
"""The share of what a disk loses, or lacks, that logs must be guilty of before one of them is blamed."""

_LEAST = 1 / 16
"""Of the floor: what a flood writes in that time at least, however little is free; and what a full disk has left."""


class Growth(Struct, frozen=True):
    """How the log of a living attempt grows."""

    rate: float
    """Bytes a second."""
    most: float = float("inf")
    """Bytes that the disk can lose to it before it is cut."""


class Disk(Struct, frozen=True):
    """The disk that logs are on."""

    free: int
    """Bytes."""
    floor: int
    """`min_free_disk`: bytes that are to stay free; 0: the disk is ignored."""
    lost: float = 0.0
    """Bytes a second that it lost, besides to attempts that are being stopped."""


def is_flood(rate: float, disk: Disk) -> bool:
    """Whether a log that grows by so many bytes a second could fill the disk soon."""
    return rate * FILLS_WITHIN >= max(1, min(disk.free, disk.floor), _LEAST * disk.floor)


def has_filled(size: int, seconds: float, disk: Disk) -> bool:
    """Whether a log of so many bytes, written in so many seconds, is why little is left of the disk's floor."""
    lacks = disk.floor - disk.free
    return (
        disk.floor > 0
        and lacks >= disk.floor / 2
        and size >= BLAMED * lacks
        and is_flood(size / max(seconds, 1.0), disk)
    )


def is_full(disk: Disk) -> bool:
    """Whether so little is free that nobody can write much any more, so that growth tells nothing."""
    return disk.free < _LEAST * disk.floor


def worst_flood(logs: Mapping[ProcessKey, Growth], disk: Disk) -> ProcessKey | None:
    """The log whose attempt has to be stopped now; None if nothing has to be done.

    The worst one first: what is left of the danger without it, the next call tells. Nobody is blamed for what others
    write on the disk.
    """
    if not disk.floor or not logs:
        return None
    if sum(log.rate for log in logs.values()) < BLAMED * disk.lost:
        return None
    ahead = sum(min(log.rate * AHEAD, log.most) for log in logs.values())
    if disk.free - ahead >= disk.floor:
        return None
    worst = max(logs, key=lambda key: logs[key].rate)
    return worst if is_flood(logs[worst].rate, disk) else None
