"""The clipboard of a person at a terminal far away (OSC 52), also behind GNU screen."""

from base64 import b64encode
from collections.abc import Mapping

_PIECE = 240
"""Characters that GNU screen passes on at once; it cuts off longer ones."""


def through_screen(text: str, environ: Mapping[str, str]) -> str:
    """What to write so that a text gets through GNU screen into the clipboard; empty if there is no screen.

    tmux, which may call itself screen, does not need this: it takes OSC 52 as it is.
    """
    if "STY" not in environ and not environ.get("TERM", "").startswith("screen"):
        return ""
    sequence = f"\x1b]52;c;{b64encode(text.encode()).decode()}\a"
    pieces = (sequence[at : at + _PIECE] for at in range(0, len(sequence), _PIECE))
    return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
