"""How a plan file differs, in lines: one for each ticket, or, of many tickets of a family, a few for all of them."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import NamedTuple

from parexec_tui.core.plan.reading.faults import listed

_MOST_LINES = 3
"""Of a family; more are folded."""

_NAMED = 4
"""Members that a line names."""

_COUNTED = {"+": "more", "-": "gone", "~": "changed", "!": "as before"}


class TicketLine(NamedTuple):
    """What is said of a ticket."""

    sign: str
    """`+` it is new, `-` it is dropped, `~` it is changed, `!` it is not taken over"""
    id: str
    text: str
    of_many: str | None = None
    """The same of several; None: it is no other."""

    def __str__(self) -> str:
        return f"{self.sign} {self.id}  {self.text}".rstrip()


def folded(lines: Iterable[TicketLine], families: Mapping[str, str]) -> Iterator[str]:
    """The lines as texts. `families`: {ticket: its family}. Those of a family stand where its first one stands."""
    lines = list(lines)
    counts = Counter(families[line.id] for line in lines if line.id in families)
    of_family: dict[str, list[TicketLine]] = {}
    for line in lines:
        if counts[family := families.get(line.id, "")] > _MOST_LINES:
            of_family.setdefault(family, []).append(line)
    for line in lines:
        if (family := families.get(line.id, "")) not in of_family:
            yield str(line)
        elif line is of_family[family][0]:
            yield from _family_lines(family, of_family[family])


def _family_lines(family: str, lines: list[TicketLine]) -> Iterator[str]:
    signs = Counter(line.sign for line in lines)
    yield f"~ family {family}: {', '.join(f'{signs[sign]} {word}' for sign, word in _COUNTED.items() if signs[sign])}"
    alike: dict[tuple[str, str], list[TicketLine]] = {}
    for line in lines:
        alike.setdefault((line.sign, line.text if line.of_many is None else line.of_many), []).append(line)
    for (sign, of_many), those in alike.items():
        if len(those) == 1:
            yield f"  {those[0]}"
        else:
            yield f"  {sign} {listed((line.id for line in those), _NAMED)}  {of_many}".rstrip()
