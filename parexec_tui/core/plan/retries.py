"""Which failures of a ticket are tried again, and how often."""

import re
from collections.abc import Iterable
from typing import Annotated, Final

from msgspec import Meta, Struct

from parexec_tui.core.plan.units import Factor, shown

MAX_RETRIES = 1_000_000
"""The highest number of retries that a plan may name."""

MAX_CODE = 255
"""The highest exit code that a process can have."""

SIGNALLED = 128
"""A shell tells the signal that ended a command by an exit code: this, and the number of the signal."""

Count = Annotated[int, Meta(ge=0, le=MAX_RETRIES)]


class Budgets(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Retries by class. Neither uses up what the other has."""

    failed: Annotated[
        Count,
        Meta(description="After a failure of its own: an exit code, a signal, a timeout, memory, an output, a gate."),
    ] = 0
    lost: Annotated[
        Count, Meta(description="After a failure of what it ran on: it was lost, or it could not start.")
    ] = 0


class RetryUses(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """What a ticket takes more of when it is tried again."""

    memory: Annotated[
        Factor | None, Meta(description="After it ran out of memory: by what `uses` and `limits` are multiplied.")
    ] = None


Retries = Count | Budgets
"""How `retries` is written. A number is one budget that failures of both classes use up."""


def shown_retries(retries: int | Budgets) -> str:
    """For people; empty if there are none."""
    if isinstance(retries, int):
        return str(retries) if retries else ""
    return f"{retries.failed} after a failure, {retries.lost} when it is lost" if retries != Budgets() else ""


FAILED, TIMED_OUT, COULD_NOT_START, LOST = "failed", "timed out", "could not start", "lost"
OUT_OF_MEMORY = "out of memory"
OUTPUTS, CLAIMS, GATE, CHECK, SERVICE, SIGNAL = "outputs", "claims", "gate", "check", "service", "signal"

FAILURE_WORDS: Final = (
    FAILED, TIMED_OUT, OUT_OF_MEMORY, COULD_NOT_START, LOST, OUTPUTS, CLAIMS, GATE, CHECK, SERVICE, SIGNAL
)  # fmt: skip
"""The words that `retry_on` knows, beside exit codes and `signal N`."""

_signal_number = re.compile(rf"{SIGNAL} ([1-9][0-9]*)").fullmatch

MAX_SIGNAL: Final = 64
"""The highest number of a signal that Linux has."""


def problem_of_failure(named: str | int) -> str:
    """What is wrong with an entry of `retry_on`; empty if nothing is."""
    if isinstance(named, int) or named in FAILURE_WORDS:
        return ""
    if signal := _signal_number(named):
        return "" if int(signal[1]) <= MAX_SIGNAL else f"there is no signal {signal[1]}"
    return f"{shown(named)} is no failure"


def exit_code(code: int | None, signal: int | None) -> int | None:
    """The exit code of a command as a shell tells it: 128 + N for signal N. None: it has none."""
    return SIGNALLED + signal if signal is not None else code


def is_named(retry_on: tuple[str | int, ...], words: Iterable[str], code: int | None, signal: int | None) -> bool:
    """Whether `retry_on` names a failure: by one of its words, or by the exit code or the signal of the command.

    An empty one names all failures. `code` and `signal` are None where it is not the command that failed.
    """
    if not retry_on:
        return True
    names = {*words, exit_code(code, signal), *((SIGNAL, f"{SIGNAL} {signal}") if signal is not None else ())}
    return not names.isdisjoint(retry_on)
