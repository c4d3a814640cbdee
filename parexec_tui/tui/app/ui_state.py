"""What the screen remembers from one time to the next: which panels were used last. Losing it costs nothing."""

from collections.abc import Sequence
from contextlib import suppress

import msgspec
from msgspec import Struct

from parexec_tui.paths import state_home


class Remembered(Struct, frozen=True):
    """The file's content."""

    used: tuple[str, ...] = ()
    """Panels, the last used first."""


def read_used() -> Sequence[str]:
    """The panels in the order of use; none if nothing is remembered, or it cannot be read."""
    try:
        return msgspec.json.decode((state_home() / "screen.json").read_bytes(), type=Remembered).used
    except (OSError, msgspec.MsgspecError):
        return ()


def write_used(used: Sequence[str]) -> None:
    """Remember the order; if that cannot be, it is not."""
    file = state_home() / "screen.json"
    new = file.with_name("screen.new")
    with suppress(OSError):
        new.write_bytes(msgspec.json.encode(Remembered(tuple(used))))
        new.replace(file)
