"""The clipboard of a person who sits far away is their terminal's (OSC 52), which may be behind GNU screen."""

from base64 import b64encode
from collections.abc import Mapping

_PIECE = 240
"""Characters that screen passes on at once; what is longer it cuts."""


def through_screen(text: str, environ: Mapping[str, str]) -> str:
    """What puts a text into the clipboard of the terminal that screen runs in; empty if there is no screen.

    tmux, which may call itself screen, leaves this out and takes OSC 52 as it is.
    """
    if "STY" not in environ and not environ.get("TERM", "").startswith("screen"):
        return ""
    sequence = f"\x1b]52;c;{b64encode(text.encode()).decode()}\a"
    pieces = (sequence[at : at + _PIECE] for at in range(0, len(sequence), _PIECE))
    return "".join(f"\x1bP{piece}\x1b\\" for piece in pieces)
