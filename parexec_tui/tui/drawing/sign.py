"""The signs of the screen that are no status: each once, as it is in ASCII, and what the help says of it.

A drawing takes its signs from here, or from a table of its own that the help has too, so that none is forgotten.
"""

from typing import Final, NamedTuple

from parexec_tui.core.state.one_line import LINE_END


class Sign(NamedTuple):
    """Indexed by whether only ASCII may be shown."""

    sign: str
    letters: str
    meaning: str


CURSOR: Final = Sign("▌", "]", "here is the cursor")
MARK: Final = Sign("●", "*", "marked: actions take it")
FOLDED: Final = Sign("▸", "+", "a heading, its rows folded away")
UNFOLDED: Final = Sign("▾", "-", "a heading, its rows below")
WAITS_FOR: Final = Sign("└", "`", "waits for the claim above it")
CUT: Final = Sign("…", "~", "there is more, and no room for it")
LINE_ENDS: Final = Sign(LINE_END, "$", "a line of a question or command ends, another one begins")
THUMB: Final = Sign("┃", "#", "of all rows, the part that is shown")

RESTS: Final = Sign("≈", "~", "its account rests: a limit, or no answer")
LEAST: Final = Sign("≥", ">=", "at least so much: not all of it is known")

ROWS: Final = (CURSOR, MARK, FOLDED, UNFOLDED, WAITS_FOR, CUT, LINE_ENDS, THUMB, RESTS, LEAST)

DONE: Final = Sign("━", "#", "done; of a ticket, as its output tells")
BAD: Final = Sign("┅", "x", "failed, cancelled or skipped")
RUNS: Final = Sign("╾", ">", "running")
GUESSED: Final = Sign("░", ":", "~42%, late: a guess, by the time that the ticket is expected to take")
LEFT: Final = Sign("─", ".", "still to come")

PROGRESS: Final = (DONE, BAD, RUNS, GUESSED, LEFT)

USED: Final = Sign("█", "#", "in use, in eighths of a cell")
FREE: Final = Sign("·", ".", "free")
LIMIT: Final = Sign("┊", "|", "from here on nothing is started")
RISING: Final = ("▁▂▃▄▅▆▇█", "_.-=+*%#")
"""The heights of a curve, the lowest first."""

GAUGES: Final = (
    USED, FREE, LIMIT,
    Sign("▁▄█", "_=#", "how it was in the last minutes, now at the right"),
    Sign("!", "!", "the host is short of it: nothing is started"),
)  # fmt: skip

AGENT_COLUMNS: Final = {
    "DONE": "how far the ticket of an agent is",
    "ETA": "when that will probably end; +: how late it is",
    "CPU": "how many CPUs it uses",
    "MEM": "how much memory it uses",
    "QUIET": "since when it has printed nothing; !: so long that it may hang",
    "FAILED": "how many attempts failed on the agent",
    "RAN": "how many attempts ended on it, failed or not",
    "BUSY": "the share of its life in which it ran something",
}
"""What is not plain about the headings of agents."""
