"""`validate`, once the plan has no errors: its shape in words, and what it will probably miss on this host.

Warnings, never errors: a ticket may create tomorrow what does not exist today.
"""

import re
import shlex
import shutil
from collections.abc import Iterator
from pathlib import Path

from parexec_tui.core.patterns import matches, parse_pattern
from parexec_tui.core.plan import SHELL_COMMAND, Plan, Ticket
from parexec_tui.core.plan_check import Survey
from parexec_tui.core.units import format_duration, format_size
from parexec_tui.paths import state_home

LOW_DISK = 1 << 30
"""Bytes of free space below which a warning is due."""

MOST_CLASHES = 20
"""Pairs that get a line each."""

_PLAIN_WORD = re.compile(r"[\w./+@%-]+")
# Reserved words, special built-ins and built-ins of POSIX sh: they need no file.
_SHELL_WORDS = frozenset(
    """
    ! . : [ { } alias bg break case cd command continue do done echo elif else esac eval exec exit export false fc fg
    fi for getopts hash if in jobs kill local printf pwd read readonly return set shift test then times trap true type
    ulimit umask unalias unset until wait while
    """.split()  # noqa: SIM905 - a list of strings would fill a page
)


def shape(found: Survey) -> Iterator[str]:
    """What a survey says of the plan as a whole, a line each."""
    count = sum(found.groups)
    sizes = ", ".join(map(str, found.groups[:12])) + (", ..." if len(found.groups) > 12 else "")
    yield f"{count} ticket{'' if count == 1 else 's'} in {len(found.groups)} groups of {sizes}"
    yield f"widest group: {found.widest}, with {found.groups[found.widest - 1]}"
    path = found.critical_path
    shown = " -> ".join(path if len(path) <= 10 else (*path[:5], "...", *path[-4:]))
    length = (
        f"{len(path)} tickets" if found.length is None else f"{format_duration(found.length)}, {len(path)} tickets"
    )
    yield f"critical path: {length}: {shown}"
    if 0 < found.estimated < count:
        yield f"{count - found.estimated} tickets have no estimate; they are taken to last the median of the others"


def clashes(found: Survey) -> Iterator[str]:
    """The pairs of tickets that cannot run at once although no need keeps them apart."""
    for clash in found.clashes[:MOST_CLASHES]:
        yield f"{clash.first} and {clash.second} will not run at once: {clash.reason}"
    more = found.more_clashes + max(0, len(found.clashes) - MOST_CLASHES)
    if more or not found.is_complete:
        yield f"{'' if found.is_complete else 'at least '}{more} more pairs of tickets will not run at once"


def warnings(plan: Plan) -> Iterator[str]:
    """What is likely to go wrong on this host, each in one line."""
    yield from _agents(plan)
    yield from _tickets(plan)
    yield from _disk(plan)


def _agents(plan: Plan) -> Iterator[str]:
    for name, agent in plan.agents.items():
        folder = Path(plan.workdir, agent.cwd or ".")
        if not folder.is_dir():
            yield f"agents.{name}: its working directory {folder} does not exist yet"
        command = agent.command[0]
        if agent.command != SHELL_COMMAND and "{" not in command and not _exists(command, folder):
            yield f"agents.{name}: command {command} is not found on this machine"


def _tickets(plan: Plan) -> Iterator[str]:
    written = [parse_pattern(text, plan.workdir) for ticket in plan.tickets.values() for text in ticket.writes]
    checked: dict[tuple[str, Path], bool] = {}
    for id_, ticket in plan.tickets.items():
        folder = Path(plan.workdir, ticket.cwd or ".")
        if ticket.cwd is not None and not folder.is_dir():
            yield f"tickets.{id_}: its working directory {folder} does not exist yet"
        command = first_command(ticket)
        if command is not None and folder.is_dir():
            found = checked.setdefault((command, folder), _exists(command, folder))
            if not found and not any(matches(pattern, _seen_from(plan, folder, command)) for pattern in written):
                yield f"tickets.{id_}: command {command} is not found on this machine"
        for text in ticket.reads:
            pattern = parse_pattern(text, plan.workdir)
            if pattern.plain and not Path(plan.workdir, text).exists():
                path = _seen_from(plan, Path(plan.workdir), text)
                if not any(matches(other, path) for other in written):
                    yield f"tickets.{id_}: reads {text}, which does not exist and no ticket writes"


def first_command(ticket: Ticket) -> str | None:
    """The program that a ticket's shell command starts with; None where that takes a shell to know."""
    try:
        words = shlex.split(ticket.run.strip().split("\n", 1)[0], comments=True)
    except ValueError:
        return None
    for word in words:
        if "=" in word and word.split("=", 1)[0].isidentifier():
            continue  # an assignment before the command
        return word if _PLAIN_WORD.fullmatch(word) and word not in _SHELL_WORDS else None
    return None


def _exists(command: str, folder: Path) -> bool:
    return shutil.which(command if "/" not in command else str(folder / command)) is not None


def _seen_from(plan: Plan, folder: Path, name: str) -> str:
    path = folder / name
    return str(path.relative_to(plan.workdir)) if path.is_relative_to(plan.workdir) else str(path)


def _disk(plan: Plan) -> Iterator[str]:
    for what, folder in (("the working directory", Path(plan.workdir)), ("the state folder", state_home())):
        while not folder.exists():
            folder = folder.parent
        free = shutil.disk_usage(folder).free
        if free < LOW_DISK:
            yield f"only {format_size(free)} are free for {what}, {folder}"
