"""What the screen remembers until it is opened again: the order in which panels were used. Losing it does no harm."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from parexec_tui.paths import state_home


class UiState(Struct, frozen=True):
    """The content of the file."""

    used: tuple[str, ...] = ()
    """The panels, the last used one first."""


def read_panel_order() -> Sequence[str]:
    """The panels in the order of use; empty if there is no file, or it cannot be read."""
    try:
        return msgspec.json.decode((state_home() / "screen.json").read_bytes(), type=UiState).used
    except (OSError, msgspec.MsgspecError):
        return ()


def write_panel_order(used: Sequence[str]) -> None:
    """Remember the order of use. An error is ignored."""
    file = state_home() / "screen.json"
    new = file.with_name("screen.new")
    with suppress(OSError):
        new.write_bytes(msgspec.json.encode(UiState(tuple(used))))
        new.replace(file)
