"""Words for accounts that rest. It imports nothing: `parexec status` needs them at once."""

from typing import Final

OFTEN: Final = 3
"""Rests of an account in a row from which on a person is told: what it waits for may never come."""


def often_text(times: int) -> str:
    """That it is so again and again: `, 4 times in a row`."""
    return f", {times} times in a row" if times >= OFTEN else ""
