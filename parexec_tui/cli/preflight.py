"""`validate`, for a plan without errors: its shape in words, and what is probably missing on this host.

These are warnings, never errors: a ticket may create what does not exist yet. But what a plan requires in so many
words must be there: without it, nothing is started.
"""

import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import chain
from pathlib import Path

from parexec_tui.cli.coding_words import coding_warnings
from parexec_tui.core.plan.agent_type import PLACEHOLDERS, AgentType, eligible_types, limits_of
from parexec_tui.core.plan.check import Bottleneck, Survey
from parexec_tui.core.plan.command import fill, is_posix_shell, words_in_braces
from parexec_tui.core.plan.expanding.given import passed_over
from parexec_tui.core.plan.hosts import LOCAL, hosts_of
from parexec_tui.core.plan.limits import Limits
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.reading.faults import Hints, listed
from parexec_tui.core.plan.secrets import wanted_secrets
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import format_count, format_duration, format_size
from parexec_tui.engine.backends.local.unmet import Written
from parexec_tui.engine.backends.local.worktrees.looking import has_submodules
from parexec_tui.paths import state_home
from parexec_tui.tracing.endpoint import lack_for

LOW_DISK = 1 << 30
"""Bytes of free space; with less, there is a warning."""

MAX_CLASHES = 20
"""Lines about tickets that cannot run at once."""

MAX_ARGUMENT = 32 * os.sysconf("SC_PAGE_SIZE") if sys.platform == "linux" else os.sysconf("SC_ARG_MAX")
"""Bytes of one argument or variable that the kernel passes to a process, with the NUL at its end."""

_LONG_PROMPT = 100 * 1024
"""Bytes of a prompt in an argument: it grows when it is edited, and then it cannot be started."""

_MAX_VALUE = 60
"""Characters of a value that are shown."""

_MAX_NAMED = 4
"""How many of the tickets of a warning are named."""

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
    """The facts of a survey about the plan as a whole, a line each."""
    count = sum(found.groups)
    sizes = ", ".join(map(str, found.groups[:12])) + (", ..." if len(found.groups) > 12 else "")
    yield f"{format_count(count, 'ticket')} in {format_count(len(found.groups), 'group')} of {sizes}"
    yield f"widest group: number {found.widest}, with {format_count(found.groups[found.widest - 1], 'ticket')}"
    path = found.critical_path
    shown = " -> ".join(path if len(path) <= 10 else (*path[:5], "...", *path[-4:]))
    length = "" if found.length is None else f"{format_duration(found.length)}, "
    yield f"critical path: {length}{format_count(len(path), 'ticket')}: {shown}"
    if 0 < found.estimated < count:
        left = count - found.estimated
        have = "has no estimate; it is" if left == 1 else "have no estimate; they are"
        yield f"{format_count(left, 'ticket')} {have} taken to last the median of the others"
    if found.unwanted:
        be = "is" if len(found.unwanted) == 1 else "are"
        names = listed(found.unwanted, limit=4)
        yield f"{format_count(len(found.unwanted), 'ticket')} {be} not wanted: {names}"


def clashes(found: Survey) -> Iterator[str]:
    """The tickets that cannot run at once although no need keeps them apart, a line for each cause."""
    bottlenecks = found.bottlenecks[:MAX_CLASHES]
    yield from map(_bottleneck, bottlenecks)
    pairs = [clash for clash in found.clashes if clash.is_alone][: MAX_CLASHES - len(bottlenecks)]
    for clash in pairs:
        yield f"{clash.first} and {clash.second} will not run at once: {clash.reason}"
    told = len(pairs) + sum(bottleneck.pairs for bottleneck in bottlenecks)
    more = len(found.clashes) + found.more_clashes - told
    if more:
        yield f"{format_count(more, 'more pair')} of tickets will not run at once"
    if not found.is_complete:
        yield "there may be more such pairs: the plan is too large to look at all of them"


def _bottleneck(found: Bottleneck) -> str:
    who = f"{format_count(len(found.tickets), 'ticket')} ({listed(found.tickets, limit=_MAX_NAMED)})"
    match found.kind:
        case "lock":
            what = f"share `{found.name}`"
        case "path":
            what = f"write `{found.name}`" if found.is_exclusive else f"claim `{found.name}` or parts of it"
        case "resource":
            what = f"share `{found.name}`" if found.is_exclusive else f"use much of `{found.name}`"
    how = "one at a time" if found.is_exclusive else f"{found.pairs} pairs of them will not run at once"
    return f"{who} {what}, {how}"


def warnings(plan: Plan) -> Iterator[str]:
    """What is likely to go wrong on this host, each in one line."""
    yield from (f"family {name} has no tickets: {why}" for name, why in plan.without_members.items())
    if unknown := passed_over(plan.given, plan.variables):
        yield unknown
    yield from _hosts(plan)
    yield from _agents(plan)
    yield from _agent_commands(plan)
    yield from coding_warnings(plan)
    of: dict[str, list[str]] = {}
    for id_, text in chain(_tickets(plan), _ticket_commands(plan)):
        of.setdefault(text, []).append(id_)
    for text, ids in of.items():
        what = f"tickets.{ids[0]}" if len(ids) == 1 else f"tickets {listed(ids, limit=_MAX_NAMED)}"
        yield f"{what}: {text}"
    if wanted_secrets(plan):
        from parexec_tui.engine.secrets import unknown_secrets

        yield from (fault.message for fault in unknown_secrets(plan, runs=False))
        if printed := [name for name in wanted_secrets(plan) if name in plan.secrets and plan.secrets[name].command]:
            has = "its command is" if len(printed) == 1 else "their commands are"
            yield f"secret {listed(printed, limit=_MAX_NAMED)}: {has} not run here, but before a session starts"
    yield from _unlimited(plan)
    yield from _disk(plan)
    if lack := lack_for(plan.telemetry):
        yield lack


def type_warnings(plan: Plan, names: Iterable[str]) -> Iterator[str]:
    """The same of some agent types alone."""
    types = frozenset(names)
    for line in chain(_agents(plan), _agent_commands(plan), coding_warnings(plan)):
        about = line.partition(": ")[0]
        if about.startswith("agents") and types.intersection(_NAME.findall(about)):
            yield line


_NAME = re.compile(r"[^\s,.\[\]]+")


def _hosts(plan: Plan) -> Iterator[str]:
    used = {host for agent in plan.agents.values() for host in hosts_of(agent, plan.hosts)}
    yield from (f"hosts.{name}: no agent type runs on it" for name in plan.hosts if name not in used)


def _agents(plan: Plan) -> Iterator[str]:
    for name, agent in plan.agents.items():
        if LOCAL not in hosts_of(agent, plan.hosts):
            continue
        folder = Path(plan.workdir, agent.cwd or ".")
        if not _is_folder(folder):
            yield f"agents.{name}: its working directory {folder} does not exist yet"
        program = agent.whole_command[0]
        if "{" not in program and not _exists(program, folder, agent.env):
            what = "program" if agent.kind else "command" if agent.run_shell is None else "shell"
            yield f"agents.{name}: {what} {program} is not found on this machine"
        if agent.isolation == "worktree" and has_submodules(plan.workdir):
            yield f"agents.{name}: its worktrees have no submodules: git submodule update --init, in its tickets"


def _tickets(plan: Plan) -> Iterator[tuple[str, str]]:
    """Tickets and their warnings. Tickets with the same problem have the same text."""
    written = Written(plan)
    folders: dict[str, bool] = {}
    commands: dict[tuple[str, str, str | None], bool] = {}
    prompts: dict[str, str] = {}
    for id_, ticket in plan.tickets.items():
        if ticket.cwd is not None and not folders.setdefault(ticket.cwd, _is_folder(Path(plan.workdir, ticket.cwd))):
            yield id_, f"working directory {Path(plan.workdir, ticket.cwd)} does not exist yet"
        command, agent = first_command(ticket), _shell_agent(plan, ticket)
        if command is not None and agent is not None and _may_run_here(plan, ticket):
            folder = Path(plan.workdir, ticket.cwd or agent.cwd or ".")
            env = {**agent.env, **ticket.env}
            key = command, str(folder), env.get("PATH")
            if key not in commands:
                commands[key] = not _is_folder(folder) or _exists(command, folder, env)
            if not commands[key] and not written.covers(str(folder / command)):
                yield id_, f"command {command} is not found on this machine"
        if ticket.prompt_file and not written.covers(path := str(Path(plan.workdir, ticket.prompt_file))):
            if path not in prompts:
                prompts[path] = _wrong_prompt(path)
            if prompts[path]:
                yield id_, prompts[path]
        for text in ticket.reads:
            pattern = parse_pattern(text, plan.workdir)
            if pattern.plain and not os.path.lexists(pattern.head.rstrip("/")) and not written.covers(pattern.head):
                yield id_, f"reads {text}: it does not exist, and no ticket writes it"


def _wrong_prompt(path: str) -> str:
    """Why no agent can be told what a file has; empty if one can."""
    from parexec_tui.engine.backends.local.agent_prompts import PromptFileError, read_prompt

    try:
        read_prompt(path)
    except PromptFileError as error:
        return str(error)
    return ""


def limits_here(plan: Plan) -> Iterator[str]:
    """How what the plan limits is kept on this machine, in a line; nothing if it limits nothing."""
    if named := _limits(plan):
        from parexec_tui.engine.backends.local.controllers import find_controllers
        from parexec_tui.engine.backends.local.kept_limits import how_kept

        kept = how_kept(find_controllers())
        used = [
            f"{name} {how}" for name, how in kept.items() if how and any(limits.names(name) for _, limits in named)
        ]
        if used:
            yield f"limits are kept here: {'; '.join(used)}"


def _unlimited(plan: Plan) -> Iterator[str]:
    """What the plan limits, and nothing here can keep."""
    if named := _limits(plan):
        from parexec_tui.engine.backends.local.controllers import MEMORY, find_controllers
        from parexec_tui.engine.backends.local.kept_limits import REMEDY, how_kept, lowest_nice

        found, lowest = find_controllers(), lowest_nice()
        if who := [name for name, limits in named if limits.nice is not None and limits.nice < lowest]:
            yield f"limits.nice below {lowest} cannot be kept for this user ({listed(who, limit=_MAX_NAMED)})"
        for limit, how in how_kept(found).items():
            if not how and (who := [name for name, limits in named if limits.names(limit)]):
                told = listed(who, limit=_MAX_NAMED)
                yield f"limits.{limit} cannot be kept on this machine ({told}); {REMEDY}"
        raised = _raised(plan)
        if raised and not found.version(MEMORY):
            told = listed(raised, limit=_MAX_NAMED)
            why = "without a cgroup, what has too little of limits.memory is not seen to be out of memory"
            yield f"retry_uses.memory has nothing to raise on this machine ({told}): {why}; {REMEDY}"


def _raised(plan: Plan) -> list[str]:
    """The tickets that are to get more of a limit of memory when they are tried again."""
    return [
        f"tickets.{id_}"
        for id_, ticket in plan.tickets.items()
        if ticket.retry_uses is not None and ticket.retry_uses.memory is not None and _limits_memory(plan, ticket)
    ]


def _limits_memory(plan: Plan, ticket: Ticket) -> bool:
    found = (limits_of(plan.agents[name], ticket) for name in eligible_types(plan.agents, ticket))
    return any(limits is not None and limits.memory is not None for limits in found)


def _limits(plan: Plan) -> list[tuple[str, Limits]]:
    """Who has limits, and which."""
    agents = [(f"agents.{name}", agent.limits) for name, agent in plan.agents.items()]
    tickets = [(f"tickets.{id_}", ticket.limits) for id_, ticket in plan.tickets.items()]
    return [(name, limits) for name, limits in (*agents, *tickets) if limits is not None]


def _agent_commands(plan: Plan) -> Iterator[str]:
    units = plan.resources.units
    for name, agent in plan.agents.items():
        hints = Hints(PLACEHOLDERS)
        for word in dict.fromkeys(chain.from_iterable(map(words_in_braces, agent.whole_command))):
            if word not in PLACEHOLDERS and word not in units:
                meant = hints.nearest(word)
                hint = f"; did you mean {{{meant}}}?" if meant else ""
                yield f"agents.{name}: {{{word}}} in its command is no placeholder and stays as it is{hint}"
        for word in dict.fromkeys(chain.from_iterable(map(words_in_braces, agent.args))):
            yield f"agents.{name}: {{{word}}} stays as it is: nothing is filled in in `args`"
        for text in _env_warnings(agent.env):
            yield f"agents.{name}: {text}"


def _ticket_commands(plan: Plan) -> Iterator[tuple[str, str]]:
    units = plan.resources.units
    for id_, ticket in plan.tickets.items():
        for text in _env_warnings(ticket.env) if ticket.env else ():
            yield id_, text
        braced = list(words_in_braces(ticket.run)) if "{" in ticket.run else []
        for word in braced:
            if word in units and not ticket.uses.get(word):
                yield id_, f"{{{word}}} is not filled in, since it uses no {word}: write uses = {{ {word} = 1 }}"
        words = [word for word in braced if word in _VARIABLES]
        if words and _shell_agent(plan, ticket) is not None:
            for word in words:
                yield id_, f"{{{word}}} is not filled in here: write ${_VARIABLES[word]}"
        if len(ticket.run) + len(ticket.prompt) >= MAX_ARGUMENT // 4:
            yield from ((id_, text) for text in _too_long(plan, id_, ticket))


def _too_long(plan: Plan, id_: str, ticket: Ticket) -> Iterator[str]:
    """Whether a command of the ticket has an argument that the system does not take."""
    for name in eligible_types(plan.agents, ticket):
        if plan.agents[name].kind is not None:
            continue  # it reads its prompt
        command = plan.agents[name].whole_command
        words = fill(command, ticket, id_=id_, attempt=1, workdir=plan.workdir)
        size = max(len(word.encode()) for word in words) + 1
        limit = f"the system takes {format_size(MAX_ARGUMENT)} in one argument"
        if size > MAX_ARGUMENT:
            yield f"its command cannot be started by {name}: {limit}, it has {size} bytes; put the text into a file"
        elif size > _LONG_PROMPT and any("{prompt}" in word for word in command):
            yield f"its prompt is long for the command of {name}: {limit}, it has {size} bytes; put it into a file"


_VARIABLES = {"ticket": "PAREXEC_TICKET", "attempt": "PAREXEC_ATTEMPT", "workdir": "PAREXEC_WORKDIR"}
"""What a shell command has instead of a placeholder."""

_EXPANSION = re.compile(r"\$(?:\{[A-Za-z_]|[A-Za-z_(])")
"""What a shell would expand."""


def _env_warnings(env: Mapping[str, str]) -> Iterator[str]:
    for name, value in env.items():
        if _EXPANSION.search(value):
            shown = value if len(value) <= _MAX_VALUE else f"{value[:_MAX_VALUE]}…"
            how = f'{name}="{shown}" COMMAND'
            inherits = "write it into the command, which inherits what you have"
            yield f"env.{name} is {shown} to the letter: {inherits}: {how}"
        if len(name.encode()) + len(value.encode()) + 2 > MAX_ARGUMENT:
            limit = format_size(MAX_ARGUMENT)
            yield f"env.{name} is longer than the {limit} that the system takes in a variable: nothing can be started"


def _shell_agent(plan: Plan, ticket: Ticket) -> AgentType | None:
    """The agent type of a ticket, if all that can run it pass its command to a POSIX shell; else None."""
    types = [plan.agents[name] for name in eligible_types(plan.agents, ticket)]
    are_shells = all(agent.run_shell is not None and is_posix_shell(agent.run_shell) for agent in types)
    return types[0] if are_shells else None


def _may_run_here(plan: Plan, ticket: Ticket) -> bool:
    types = eligible_types(plan.agents, ticket)
    return not plan.hosts or any(LOCAL in hosts_of(plan.agents[name], plan.hosts) for name in types)


def first_command(ticket: Ticket) -> str | None:
    """The program that a ticket's shell command starts with; None if only a shell could tell."""
    try:
        words = shlex.split(ticket.run.strip().split("\n", 1)[0], comments=True)
    except ValueError:
        return None
    for word in words:
        if "=" in word and word.split("=", 1)[0].isidentifier():
            if "$(" in word or "`" in word:
                return None  # the words that follow are those of another command
            continue  # an assignment before the command
        return word if _PLAIN_WORD.fullmatch(word) and word not in _SHELL_WORDS else None
    return None


def _is_folder(folder: Path) -> bool:
    return os.path.isdir(folder)  # noqa: PTH112 - Path.is_dir raises where a folder may not be looked into


def _exists(command: str, folder: Path, env: Mapping[str, str]) -> bool:
    return shutil.which(command if "/" not in command else str(folder / command), path=env.get("PATH")) is not None


def _disk(plan: Plan) -> Iterator[str]:
    for what, folder in (("the working directory", Path(plan.workdir)), ("the state folder", state_home())):
        while not _is_folder(folder) and folder != folder.parent:
            folder = folder.parent
        with suppress(OSError):
            disk = shutil.disk_usage(folder)
            free = disk.free
            if disk.total and free < LOW_DISK:  # some file systems do not count blocks
                yield f"only {format_size(free)} are free for {what}, {folder}"
