"""What the screen remembers until it is opened again: for each plan the order in which its panels were used.

Losing it does no harm.
"""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from parexec_tui.core.plan.model import Plan
from parexec_tui.paths import state_home

MAX_PLANS = 100
"""Plans whose panels are remembered: those that were shown last."""


class UiState(Struct, frozen=True):
    """The content of the file. Earlier versions wrote one order for all plans, as `used`; it is left out."""

    plans: dict[str, tuple[str, ...]] = {}
    """plan: its panels, the last used one first; the plan that was shown last is the last one"""


def read_panel_order(plan: Plan) -> Sequence[str]:
    """The panels of a plan in the order of use; empty if it was not shown yet, or the file cannot be read."""
    return _read().plans.get(_key(plan), ())


def write_panel_order(plan: Plan, used: Sequence[str]) -> None:
    """Remember the order of use. An error is ignored."""
    plans = {**_read().plans}
    plans.pop(_key(plan), None)
    plans[_key(plan)] = tuple(used)
    file = state_home() / "screen.json"
    new = file.with_name("screen.new")
    with suppress(OSError):
        new.write_bytes(msgspec.json.encode(UiState(dict(list(plans.items())[-MAX_PLANS:]))))
        new.replace(file)


def _read() -> UiState:
    try:
        return msgspec.json.decode((state_home() / "screen.json").read_bytes(), type=UiState)
    except (OSError, msgspec.MsgspecError):
        return UiState()


def _key(plan: Plan) -> str:
    """What a plan is known by: each session has its own copy, and the file may have moved."""
    return f"{plan.settings.name} in {plan.workdir}"
