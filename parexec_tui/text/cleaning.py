"""Makes output safe for a terminal that has no screen of ours: text and colours stay, what else acts on it goes."""

import codecs
import re

from parexec_tui.text.words import UNPRINTABLE

_MAX_HELD_BACK = 8192
"""Characters. An escape sequence without an end is not waited for any longer."""

_UNFINISHED = re.compile(
    r"(?:\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b\x9c]*\x1b?|[PX^_][^\x1b]*\x1b?|[ -/]*)?"
    r"|\x9b[0-?]*[ -/]*|\x9d[^\x07\x1b\x9c]*\x1b?)\Z"
)
"""The beginning of an escape sequence, at the end of what is known so far."""

_STAYS = re.compile(r"[\r\b\u200d\ufe0f]|\x1b\[[0-2]?K|\x1b\[[01]?G")
"""What rewrites the same line, as progress bars do, and what joins emoji."""

_COLOURS = re.compile(r"\x1b\[[0-9;:]*m")
_CONCEALS = re.compile(r"(?:^|;)(?:[34]8(?:;2;\d*;\d*;\d*|;5;\d*)|0*([568])(?=;|$))")
"""Blinking and concealed text, but not an 8 that belongs to a colour, as in `38;5;8`."""

_NO_COLOURS = "\x1b[0m"


class Cleaner:
    """Cleans an output that arrives in pieces. It takes away what the screen does not show either: titles, links, the
    clipboard, movements of the cursor to other lines, the direction of text, concealment."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held_back = ""
        self._is_coloured = False

    def feed(self, data: bytes) -> str:
        """The text of more bytes. The beginning of an escape sequence at their end waits for the next bytes."""
        return self._clean(self._held_back + self._decoder.decode(data), is_all=False)

    def finish(self) -> str:
        """The text that still waited, and the end of the colours."""
        rest = self._clean(self._held_back + self._decoder.decode(b"", final=True), is_all=True)
        return rest + (_NO_COLOURS if self._is_coloured else "")

    def _clean(self, text: str, *, is_all: bool) -> str:
        *lines, last = text.split("\n")
        unfinished = _UNFINISHED.search(last)
        if is_all or unfinished is None or len(unfinished.group()) > _MAX_HELD_BACK:
            self._held_back = ""
        else:
            self._held_back = unfinished.group()
            last = last[: unfinished.start()]
        # Line by line: a sequence without an end takes no more than the rest of its line.
        return "\n".join(UNPRINTABLE.sub(self._kept, line) for line in (*lines, last))

    def _kept(self, match: re.Match[str]) -> str:
        sequence = match.group()
        if _STAYS.fullmatch(sequence):
            return sequence
        if _COLOURS.fullmatch(sequence) is None or _has_concealment(sequence[2:-1]):
            return ""
        self._is_coloured = sequence not in ("\x1b[m", _NO_COLOURS)
        return sequence


def _has_concealment(parameters: str) -> bool:
    return any(match.group(1) for match in _CONCEALS.finditer(parameters))
