"""Every sign of a status, an agent and an event is in the fonts that people have.

The set is what the kernel's own console font draws (drivers/tty/vt/cp437.uni of Linux), all of which DejaVu Sans Mono
has as well: its character map was read with fontTools. So was that of Meslo, which is Menlo with other line heights
and may be copied: its regular face has them all. `✓` and `✗` are the exception: the console of Linux gets the signs
in ASCII (`is_ascii_only`).
"""

import pytest

from parexec_tui.core.state.status import AGENT_TABLE, TABLE
from parexec_tui.text import words
from parexec_tui.tui.dialogs.help import SIGNS as DRAWN
from parexec_tui.tui.drawing.sign import CURSOR

CONSOLE = frozenset(
    bytes(range(0x80, 0xFF)).decode("cp437")
    + "☺☻♥♦◆♣♠•◘○◙♂♀♪♫☼¤▶►◀◄↕‼¶§▬↨↑↓→←∟↔▲▼⌂"
    + "ØΩ"
    + "".join(map(chr, range(0x20, 0x7F)))
)
EXCEPTIONS = frozenset("✓✗")
LINES = frozenset(map(chr, range(0x2500, 0x25A0))) | frozenset("▸▾◂●…⏎")
"""Lines, blocks, triangles and a line end, which DejaVu Sans Mono has; the console gets letters for them."""

SIGNS = sorted(
    {row.glyph for row in TABLE.values()}
    | {row.glyph for row in AGENT_TABLE}
    | {signs[0] for signs in (*words._GLYPHS.values(), words._OTHER)}
)


@pytest.mark.parametrize("sign", SIGNS)
def test_fonts_have_the_sign(sign: str) -> None:
    assert sign in CONSOLE | EXCEPTIONS


@pytest.mark.parametrize("heading", DRAWN)
def test_fonts_have_the_signs_of_drawings(heading: str) -> None:
    assert {letter for each in DRAWN[heading] for letter in each.sign} <= CONSOLE | EXCEPTIONS | LINES


SAME = ({"running", "busy", "started"}, {"waiting", "waits"})
"""Words that mean the same, of tickets, agents and events."""


@pytest.mark.parametrize("ascii_only", [False, True])
def test_one_sign_has_one_meaning(ascii_only: bool) -> None:
    meanings: dict[str, set[str]] = {}
    for word, signs in {**words._GLYPHS, "others": words._OTHER}.items():
        meanings.setdefault(signs[ascii_only], set()).add(word)
    assert [each for each in meanings.values() if len(each) > 1 and each not in SAME] == []
    assert len(meanings) == len(words._GLYPHS) + 1 - sum(len(each) - 1 for each in SAME)


def test_in_ascii_the_cursor_looks_like_no_status() -> None:
    statuses = {row.ascii_glyph for row in TABLE.values()} | {row.ascii_glyph for row in AGENT_TABLE}
    assert CURSOR.letters not in statuses
