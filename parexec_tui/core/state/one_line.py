"""Questions, commands and reasons of others on one line, so that nothing of them is out of sight.

Who allows a command has to see where its lines end, and what would act on a terminal instead of being seen.
"""

import re

LINE_END = "⏎"
"""Stands for the end of a line that another one follows."""

_LONGEST = 300

_UNSEEN = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)


def one_line(text: str) -> str:
    """All lines in one, with a sign where each ends, and control characters as pictures of them."""
    if text.isascii() and text.isprintable():
        return text
    return f" {LINE_END} ".join(line.strip() for line in visible_lines(text) if line.strip())


def question_line(text: str) -> str:
    """A question on one line, which says that it is longer if it is."""
    line = one_line(text)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]} … ({len(line)} characters)"


def visible_lines(text: str) -> list[str]:
    """The lines of a text, with control characters as pictures of them."""
    return [_UNSEEN.sub(_picture, line) for line in text.replace("\r\n", "\n").strip("\n").split("\n")]


def _picture(match: re.Match[str]) -> str:
    code = ord(match[0])
    return chr(0x2400 + code) if code < 32 else "\u2421" if code == 127 else f"<U+{code:04X}>"
