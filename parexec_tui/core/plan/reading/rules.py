"""What must hold between the tables of a plan, each of which is right in itself: one function for each rule.

A plan may have 100,000 tickets and usually has no mistake, so a rule first asks the cheapest question that tells
"nothing is wrong here", and looks for the place only after that.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import chain, pairwise
from typing import Any

from msgspec import Struct

from parexec_tui.core.plan import graph
from parexec_tui.core.plan.checks import MOST_CHECKS, SHORTEST
from parexec_tui.core.plan.command import is_posix_shell
from parexec_tui.core.plan.gates import (
    MAX_ALTERNATIVES,
    PLAN_GATES,
    Gate,
    Gates,
    Group,
    as_gate,
    described,
    gates_of_group,
    group_of,
    is_gate_ticket,
    is_number,
)
from parexec_tui.core.plan.group_gates import with_named_gates
from parexec_tui.core.plan.limits import MIN_MEMORY, Limits
from parexec_tui.core.plan.model import (
    HOST_RESOURCES,
    ID_PATTERN,
    MIN_LOG,
    AgentType,
    Hooks,
    Host,
    PlanSettings,
    Resources,
    Ticket,
    blanks,
    eligible_types,
    has_capabilities,
)
from parexec_tui.core.plan.outputs import pattern_of
from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.pressure import Pressure
from parexec_tui.core.plan.progress import OFF, progress_regex
from parexec_tui.core.plan.reading.faults import Fault, Hints, Path, listed
from parexec_tui.core.plan.reading.unread import may_be
from parexec_tui.core.plan.reading.worktrees import worktrees_can_be_made
from parexec_tui.core.plan.requirements import Requires, parse_command
from parexec_tui.core.plan.resources import unit_variable
from parexec_tui.core.plan.retries import FAILURE_WORDS, problem_of_failure
from parexec_tui.core.plan.services import Service, parse_ready
from parexec_tui.core.plan.units import format_size, shown
from parexec_tui.core.plan.waits import need_of, place_of

PLAIN_NAME = "names are used in paths: letters, digits, `_`, `-` and `.`, at most 200, no `..`; not `-` or `.` first"

is_simple = re.compile(r"(?!.*\.\.)[^\[\\{}\0\n]+").fullmatch
"""A pattern in which nothing can be wrong. Most are, and to read one costs ten times as much."""

_MAX_WAY = 12
"""Tickets of a cycle that are all named."""

_SHOWN_ENDS = 4
"""Tickets that are named at each end of a longer one."""

_is_plain = re.compile(ID_PATTERN).fullmatch


class Draft(Struct, frozen=True, kw_only=True):
    """A plan before it is checked. What was wrong in a table was replaced by the default."""

    written: dict[str, Any]
    """The document, to tell a ticket's own keys from those of `[defaults]`."""
    settings: PlanSettings
    defaults: Ticket
    resources: Resources
    agents: dict[str, AgentType]
    tickets: dict[str, Ticket]
    """With the defaults merged in."""
    workdir: str
    groups: dict[str, Group] = {}
    services: dict[str, Service] = {}
    hooks: Hooks = Hooks()
    pressure: Pressure = Pressure()
    unread: Mapping[Path, Sequence[Fault]] = {}
    """What could not be read, by table: `("agents", "builder")`, `("defaults",)`."""

    wrong: frozenset[Path] = frozenset()
    """Where something could not be read: that is as if it were not written."""

    left_out: frozenset[Path] = frozenset()
    """Those of them that are items of lists; in the draft, the items after them have moved up."""

    def specs(self) -> Iterator[tuple[str | None, Ticket]]:
        """All tickets by id, after the defaults, whose id is None."""
        return chain([(None, self.defaults)], self.tickets.items())

    def place(self, id_: str | None, key: str, *rest: str | int) -> Path:
        """Where a value of a ticket stands: in its own table, or in `[defaults]`."""
        if id_ is not None:
            own = self.written["tickets"].get(id_)
            value = own.get(key) if isinstance(own, dict) else None
            inherited = isinstance(value, dict) and rest and rest[0] not in value
            if value is not None and not inherited:
                return ("tickets", id_, key, *rest)
        return ("defaults", key, *rest)

    def is_read(self, path: Path, *keys: str) -> bool:
        """Whether these keys of a table are as they are written."""
        return path not in self.wrong and not any((*path, key) in self.wrong for key in keys)

    def may_say(self, table: Path, *keys: str) -> bool:
        """Whether a table may be meant to say something else of these keys: one could not be read, or an unknown key
        may be one of them. Then nothing is concluded from what it says."""
        return any(may_be(fault, keys) for fault in (*self.unread.get(table, ()), *self.unread.get(table[:1], ())))


Rule = Callable[[Draft], Iterator[Fault]]


def broken_rules(draft: Draft, host: Host | None = None) -> list[Fault]:
    """Everything that is wrong between the tables of a plan; the same fault of many tickets' default, once."""
    found = chain.from_iterable(rule(draft) for rule in _RULES)
    return list(dict.fromkeys(chain(found, _demands_can_be_met(draft, host))))


def _names_are_plain(draft: Draft) -> Iterator[Fault]:
    tables = {
        "tickets": [*draft.tickets],
        "agents": [*draft.agents],
        "resources": [*draft.resources],
        "services": [*draft.services],
    }
    for table, names in tables.items():
        for name in names:
            if not _is_plain(name):
                yield Fault((table, name), f"{shown(name)} is not a plain name", PLAIN_NAME)
    locks = set(chain.from_iterable(ticket.locks for _, ticket in draft.specs()))
    if bad := {lock for lock in locks if not _is_plain(lock)}:
        for id_, ticket in draft.specs():
            for index, lock in enumerate(ticket.locks):
                if lock in bad:
                    path = draft.place(id_, "locks", index)
                    yield Fault(path, f"{shown(lock)} is not a plain name", PLAIN_NAME)


def _units_have_variables_of_their_own(draft: Draft) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for name in draft.resources.units:
        variable = unit_variable(name)
        if (other := first.setdefault(variable, name)) != name:
            yield Fault(
                ("resources", name),
                f"its units would be told in {variable}, as those of {shown(other)} are",
                "give one of them another name",
            )


def _ids_differ_in_more_than_case(draft: Draft) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for id_ in draft.tickets:
        other = first.setdefault(id_.lower(), id_)
        if other != id_:
            yield Fault(
                ("tickets", id_),
                f"{shown(id_)} and {shown(other)} differ only in case",
                "where the file system ignores case, their logs would be one file",
            )


def _needs_are_known(draft: Draft) -> Iterator[Fault]:
    known = draft.tickets.keys()
    hints = Hints(known)
    for id_, ticket in draft.specs():
        needs = ticket.needs
        if not ticket.after and (
            not needs or (len(once := set(needs)) == len(needs) and once <= known and id_ not in once)
        ):
            continue
        before: set[str] = set()
        for index, need in enumerate(map(need_of, needs)):
            path = draft.place(id_, "needs", index)
            if need == id_:
                yield Fault(path, "a ticket cannot need itself")
            elif need not in known:
                yield Fault(
                    path, f"there is no ticket {shown(need)}", _instead_of_gates(draft, need) or hints.of(need)
                )
            elif need in before:
                yield Fault(path, f"{shown(need)} is named twice")
            before.add(need)
        for index, need in enumerate(ticket.after):
            path = draft.place(id_, "after", index)
            if need == id_:
                yield Fault(path, "a ticket cannot come after itself")
            elif need_of(need) in known and need not in known:
                yield Fault(path, "`after` waits for any end", f"write {shown(need_of(need))}, without the `?`")
            elif need not in known:
                yield Fault(
                    path, f"there is no ticket {shown(need)}", _instead_of_gates(draft, need) or hints.of(need)
                )
            elif need in ticket.after[:index]:
                yield Fault(path, f"{shown(need)} is named twice")
            elif need in before:
                yield Fault(path, f"{shown(need)} is in `needs` too, which waits for more", "leave it out of one")


def _instead_of_gates(draft: Draft, need: str) -> str:
    """What to write instead of a need that names gates; nothing if it names none."""
    if not is_gate_ticket(need):
        return ""
    if need == PLAN_GATES:
        return "only what has `finally = true` runs after the gates of the plan"
    ids = (id_ for id_, ticket in draft.tickets.items() if ticket.group == group_of(need))
    of = next(ids, "a ticket of the group")
    return f"need {of}: what needs it waits for the gates of its group as well"


def _ends_are_apart(draft: Draft) -> Iterator[Fault]:
    """What runs at the end waits for all other tickets anyway, so neither names the other."""
    last = {id_ for id_, ticket in draft.tickets.items() if ticket.finally_}
    for id_, ticket in draft.tickets.items() if last else ():
        for need in ticket.waits:
            if need not in draft.tickets or (need in last) is (id_ in last):
                continue
            path = draft.place(id_, *place_of(ticket, need))
            if need in last:
                hint = f"write `finally = true` here too, or not in {shown(need)}"
                yield Fault(path, f"{shown(need)} runs at the end, after all that is not `finally`", hint)
            else:
                yield Fault(
                    path,
                    f"a ticket with `finally` runs when all others are over, {shown(need)} too",
                    "leave it out; what its command finds tells whether that succeeded",
                )


def _groups_are_known(draft: Draft) -> Iterator[Fault]:
    written = draft.written
    for name in written.get("groups", ()) if isinstance(written.get("groups"), dict) else ():
        if not _is_group_number(name):
            hint = f"write [group.{name}] for the tickets that say `group = {shown(name)}`"
            yield Fault(("groups", name), "dependency groups have numbers, the first is 1", hint)
    for name in written.get("group", ()) if isinstance(written.get("group"), dict) else ():
        if not _is_plain(name):
            yield Fault(("group", name), f"{shown(name)} is not a plain name", PLAIN_NAME)
        elif is_number(name):
            yield Fault(("group", name), f"{name} would be a dependency group", f"write [groups.{name}] for that one")
        elif gates_of_group(name) == PLAN_GATES:
            yield Fault(("group", name), "the gates of the plan are called so", "choose another name")
    names = [name for name in draft.groups if not is_number(name)]
    hints = Hints(names)
    for id_, ticket in draft.specs():
        if not ticket.group:
            continue
        path = draft.place(id_, "group")
        if ticket.group not in names:
            hint = hints.of(ticket.group) or f"write [group.{ticket.group}] with `gates`"
            yield Fault(path, f"there is no group {shown(ticket.group)}", hint)
        elif ticket.finally_:
            yield Fault(path, "what runs at the end is in no group", "write its gates in the ticket")


_is_group_number = re.compile(r"[1-9][0-9]*").fullmatch


def _gates_do_not_wait_for_themselves(draft: Draft) -> Iterator[Fault]:
    """A ticket may not need one of a group and be needed by another one of it."""
    if not any(ticket.group for ticket in draft.tickets.values()):
        return
    whole = with_named_gates(draft.tickets, draft.groups)
    for cycle in graph.cycles(graph.build(whole)):
        gates = [id_ for id_ in cycle if is_gate_ticket(id_)]
        if not gates:
            continue  # the tickets alone have a cycle, which is told
        at = cycle.index(gates[0])
        before, after = cycle[at - 1], cycle[(at + 1) % len(cycle)]
        yield Fault(
            draft.place(before, "group"),
            f"{before} needs {after}, near or far, and {after} waits for the gates of {described(gates[0])}",
            f"put {after} into the group too, or {before} into another one",
        )


def _needs_have_no_cycle(draft: Draft) -> Iterator[Fault]:
    if _is_in_order(draft.tickets):
        return
    for cycle in graph.cycles(graph.build(draft.tickets)):
        first, *others = cycle
        if others:
            # The graph's edges run from a need to its dependent; people read "A needs B".
            way = [first, *reversed(others), first]
            keys = {place_of(draft.tickets[id_], need)[0] for id_, need in pairwise(way)}
            kinds = "`needs` and `after`" if len(keys) > 1 else "`after`" if "after" in keys else "needs"
            path = draft.place(first, *place_of(draft.tickets[first], way[1]))
            yield Fault(path, f"a cycle of {kinds}: {_shown_way(way)}", "each would wait for the next for ever")


def _shown_way(way: list[str]) -> str:
    """`A -> B -> A`; of a long way, its ends and how many tickets are on it."""
    if len(way) <= _MAX_WAY:
        return " -> ".join(way)
    left = len(way) - 2 * _SHOWN_ENDS
    parts = (*way[:_SHOWN_ENDS], f"... {left} more ...", *way[-_SHOWN_ENDS:])
    return f"{' -> '.join(parts)}, {len(way) - 1} tickets in all"


def _is_in_order(tickets: dict[str, Ticket]) -> bool:
    """Whether every ticket waits only for what stands before it: then there is no cycle, and no graph is needed."""
    before: set[str] = set()
    for id_, ticket in tickets.items():
        if (ticket.after or not before.issuperset(ticket.needs)) and not before.issuperset(ticket.waits):
            return False
        before.add(id_)
    return True


def _agents_have_room(draft: Draft) -> Iterator[Fault]:
    for name, agent in draft.agents.items():
        if agent.max is not None and agent.min > agent.max:
            yield Fault(("agents", name, "min"), f"min = {agent.min} is more than max = {agent.max}")


_WHO_RUNS_IT = ("agent", "requires", "run", "prompt")


def _somebody_can_run_it(draft: Draft) -> Iterator[Fault]:
    answers: dict[tuple[object, ...], list[Fault]] = {}
    hints = Hints(draft.agents)
    for id_, ticket in draft.specs():
        has_run, has_prompt = bool(ticket.run.strip()), bool(ticket.prompt.strip())
        asked = (ticket.agent, ticket.requires, id_ is None, has_run, has_prompt)
        if asked not in answers:
            answers[asked] = list(_why_nobody(draft, ticket, hints, is_default=id_ is None))
        for path, message, hint in answers[asked]:
            if path:
                yield Fault(draft.place(id_, str(path[0]), *path[1:]), message, hint)
            elif id_ is not None and not draft.may_say(("tickets", id_), *_WHO_RUNS_IT):
                yield Fault(("tickets", id_), message, hint)


def _why_nobody(draft: Draft, ticket: Ticket, hints: Hints, *, is_default: bool) -> Iterator[Fault]:
    """Why no agent type can run a ticket; the paths start at the ticket."""
    agents = draft.agents
    if ticket.agent is not None and ticket.agent not in agents:
        hint = hints.of(ticket.agent) or f"there is {listed(f'`{name}`' for name in agents)}"
        yield Fault(("agent",), f"there is no agent type {shown(ticket.agent)}", hint)
    elif not draft.may_say(("defaults",), *_WHO_RUNS_IT) and not eligible_types(agents, ticket):
        candidates = {name: agents[name] for name in agents if ticket.agent in (None, name)}
        if any(draft.may_say(("agents", name), "can", "command", "shell") for name in candidates):
            return
        able = {name: agent for name, agent in candidates.items() if has_capabilities(agent, ticket)}
        if not able:
            yield from _who_can_what(draft, ticket, candidates)
        elif not is_default:
            wants = {name: blanks(agent, ticket) for name, agent in able.items()}
            told = listed(f"`{name}` needs {listed(f'`{key}`' for key in keys)}" for name, keys in wants.items())
            first = next(iter(wants.values()))[0]
            yield Fault((), f"no agent type can run it: {told}", f'add `{first} = "..."`')


def _who_can_what(draft: Draft, ticket: Ticket, candidates: dict[str, AgentType]) -> Iterator[Fault]:
    offered = set(chain.from_iterable(agent.can for agent in draft.agents.values()))
    for index, wanted in enumerate(ticket.requires):
        if wanted not in offered:
            hint = Hints(sorted(offered)).of(wanted) or "add it to `can` of an agent type"
            if wanted in draft.tickets:
                hint = f"{shown(wanted)} is a ticket: write `needs` to wait for it"
            yield Fault(("requires", index), f"no agent type can {shown(wanted)}", hint)
    if offered.issuperset(ticket.requires):
        told = listed(f"`{name}` can {listed(agent.can) or 'nothing'}" for name, agent in candidates.items())
        yield Fault(("requires",), f"no agent type can all of {listed(ticket.requires)}: {told}")


def _logs_have_room(draft: Draft) -> Iterator[Fault]:
    logs = {draft.place(id_, "max_log"): ticket.max_log for id_, ticket in draft.specs() if ticket.max_log}
    for path, most in chain([(("plan", "max_log"), draft.settings.max_log)], logs.items()):
        if most and most < MIN_LOG:
            hint = f"write at least {format_size(MIN_LOG)}, or 0 to keep all of it"
            yield Fault(path, f"{format_size(most)} is too little to keep of an output", hint)


def _limits_can_be_kept(draft: Draft) -> Iterator[Fault]:
    written: list[tuple[Path, Limits]] = [
        (draft.place(id_, "limits", "memory"), ticket.limits) for id_, ticket in draft.specs() if ticket.limits
    ]
    for name, agent in draft.agents.items():
        if agent.limits is not None:
            written.append((("agents", name, "limits", "memory"), agent.limits))
            if agent.nice and agent.limits.nice is not None:
                yield Fault(("agents", name, "nice"), "`limits` says already how nice it is", "leave one of them out")
    for path, limits in written:
        if limits.memory is not None and limits.memory < MIN_MEMORY:
            hint = f"write at least {format_size(MIN_MEMORY)}"
            yield Fault(path, f"in {format_size(limits.memory)} of memory no shell can run", hint)


def _time_is_given(draft: Draft) -> Iterator[Fault]:
    if not draft.settings.finally_timeout:
        yield Fault(("plan", "finally_timeout"), _NO_TIME, "leave it out for 10 minutes")
    for id_, ticket in draft.specs():
        if ticket.timeout is not None and not ticket.timeout:
            yield _no_time(draft.place(id_, "timeout"))


def _no_time(path: Path) -> Fault:
    """That a time limit is 0. Elsewhere 0 means without a limit."""
    return Fault(path, _NO_TIME, "leave it out for no limit")


_NO_TIME = "no command ends in no time"


def _retries_have_something_to_raise(draft: Draft) -> Iterator[Fault]:
    if any(agent.limits is not None and agent.limits.memory for agent in draft.agents.values()):
        return
    for id_, ticket in draft.tickets.items():
        if ticket.retry_uses is None or ticket.uses.get("memory") or (ticket.limits and ticket.limits.memory):
            continue
        hint = 'write uses = { memory = "1GiB" }, or limits'
        yield Fault(draft.place(id_, "retry_uses"), "there is no memory of which it could take more", hint)


def _progress_can_be_read(draft: Draft) -> Iterator[Fault]:
    patterns = {draft.place(id_, "progress"): ticket.progress for id_, ticket in draft.specs() if ticket.progress}
    for path, pattern in patterns.items():
        if pattern == OFF:
            continue
        try:
            progress_regex(pattern)
        except ValueError as error:
            hint = "write for instance `epoch {n}/{m}` or `{percent}% {step}`, or `off`"
            yield Fault(path, f"{shown(pattern)} is not a pattern of progress: {error}", hint)


def _shells_take_a_command(draft: Draft) -> Iterator[Fault]:
    shells: dict[Path, tuple[str, ...]] = {("plan", "shell"): draft.settings.shell}
    for name, agent in draft.agents.items():
        if agent.shell is not None:
            shells["agents", name, "shell"] = agent.shell
            if agent.command is not None:
                yield Fault(
                    ("agents", name, "shell"),
                    "`command` says already how a ticket is run",
                    "leave one of the two out, or name the shell in `command`",
                )
    for path, words in shells.items():
        for index, word in enumerate(words):
            if "\0" in word:
                yield Fault((*path, index), _NUL)
            elif "{run}" in word:
                yield Fault((*path, index), "`run` is added as the last argument", "leave {run} out")
        if not words[0]:
            yield Fault((*path, 0), "the name of a program is missing")
        elif is_posix_shell(words) and not any(map(_is_command_option, words[1:])):
            yield Fault(path, f"{words[0]} would take the command for the name of a file", 'end it with "-c"')


_is_command_option = re.compile(r"-[A-Za-z]*c[A-Za-z]*").fullmatch


def _patterns_are_valid(draft: Draft) -> Iterator[Fault]:
    patterns = set(chain.from_iterable(ticket.reads + ticket.all_writes for _, ticket in draft.specs()))
    bad: dict[str, str] = {}
    for text in patterns:
        if is_simple(text):
            continue
        try:
            parse_pattern(text, draft.workdir)
        except ValueError as error:
            bad[text] = str(error)
    if bad:
        for id_, ticket in draft.specs():
            for key, texts in (("reads", ticket.reads), ("writes", ticket.writes), ("outputs", ticket.outputs)):
                for index, text in enumerate(texts):
                    if (problem := bad.get(pattern_of(text) if key == "outputs" else text)) is not None:
                        yield Fault(draft.place(id_, key, index), problem)


def _gates_can_be_run(draft: Draft) -> Iterator[Fault]:
    written: list[tuple[Path, Gates]] = [
        (path := draft.place(id_, "gates"), _own_gates(draft, path, ticket.gates))
        for id_, ticket in draft.specs()
        if ticket.gates
    ]
    written += [(("agents", name, "gates"), agent.gates) for name, agent in draft.agents.items() if agent.gates]
    written += [
        (("groups" if is_number(name) else "group", name, "gates"), group.gates)
        for name, group in draft.groups.items()
    ]
    written.append((("plan", "gates"), draft.settings.gates))
    for path, gates in written:
        if isinstance(gates, Gate):
            yield from _faults_of_gate(draft, gates, path)
            continue
        for index, gate in enumerate(gates):
            yield from _faults_of_gate(draft, as_gate(gate), (*path, index))


def _own_gates(draft: Draft, path: Path, gates: Gates) -> Gates:
    """The gates of a ticket without those of `[defaults]`, which come first."""
    inherited = draft.defaults.gates
    if path[0] == "defaults" or not inherited or isinstance(gates, Gate):
        return gates
    own = gates[1 if isinstance(inherited, Gate) else len(inherited) :]
    is_table = isinstance(draft.written["tickets"][path[1]]["gates"], dict)
    return as_gate(own[0]) if is_table and own else own


def _checks_can_be_made(draft: Draft) -> Iterator[Fault]:
    for id_, ticket in draft.specs():
        if len(ticket.checks) > MOST_CHECKS:
            yield Fault(
                draft.place(id_, "checks"), f"{len(ticket.checks)} checks are too many", f"at most {MOST_CHECKS}"
            )
        for index, check in enumerate(ticket.checks):
            path = draft.place(id_, "checks", index)
            is_whole = draft.is_read(path, "run", "grows", "forbid", "max_memory")
            if (
                is_whole
                and sum(map(bool, (check.run.strip(), check.grows, check.forbid, check.max_memory is not None))) != 1
            ):
                hint = "write one of `run`, `grows`, `forbid` and `max_memory`"
                yield Fault(path, "a check looks at one thing", hint)
            elif is_whole and check.timeout is not None and not check.run:
                yield Fault((*path, "timeout"), "only a command can take long", "leave it out, or write `run`")
            if "\0" in check.run:
                yield Fault((*path, "run"), _NUL)
            if check.run and check.timeout is not None and not check.timeout:
                yield _no_time((*path, "timeout"))
            if check.max_memory is not None and not check.max_memory:
                yield Fault((*path, "max_memory"), "no process runs in no memory", "write for instance 8GiB")
            if check.pause < SHORTEST:
                yield Fault((*path, "every"), "that is too often", f"at least {SHORTEST:g} seconds apart")
            if not check.forbid.strip("*") and check.forbid:
                yield Fault((*path, "forbid"), "that is in every line", "write what must not be printed")
            elif "\n" in check.forbid or "\0" in check.forbid or "\0" in check.grows:
                yield Fault(path, "a NUL or a new line is never found in a line, nor in the name of a file")
            elif check.grows:
                try:
                    parse_pattern(check.grows, draft.workdir)
                except ValueError as error:
                    yield Fault((*path, "grows"), str(error))


def _faults_of_gate(draft: Draft, gate: Gate, path: Path) -> Iterator[Fault]:
    if gate.any and (gate.run or gate.timeout is not None or gate.cwd is not None or gate.retries):
        yield Fault(path, "a gate has either `any` or a command", "put the command and its settings into `any`")
    if len(gate.any) > MAX_ALTERNATIVES:
        yield Fault(
            (*path, "any"), f"{len(gate.any)} gates to choose from are too many", f"at most {MAX_ALTERNATIVES}"
        )
    for index, check in enumerate(gate.alternatives):
        place = (*path, "any", index) if gate.any else path
        if not check.run.strip() and draft.is_read(place, "run") and draft.is_read(path, "any"):
            yield Fault(place, "the gate has no command", 'write run = "...", or any = ["...", "..."]')
        elif "\0" in check.run or "\0" in (check.cwd or ""):
            yield Fault(place, _NUL)
        if check.timeout is not None and not check.timeout:
            yield _no_time((*place, "timeout"))


def _failures_are_known(draft: Draft) -> Iterator[Fault]:
    hints = Hints(FAILURE_WORDS)
    for id_, ticket in draft.specs():
        for index, named in enumerate(ticket.retry_on):
            path = draft.place(id_, "retry_on", index)
            if problem := problem_of_failure(named):
                known = f"an exit code, `signal 9`, or one of {listed(FAILURE_WORDS, len(FAILURE_WORDS))}"
                yield Fault(path, problem, (isinstance(named, str) and hints.of(named)) or known)
            elif named in ticket.expect_codes:
                yield Fault(path, f"exit code {named} counts as success", "leave it out here, or in `expect_codes`")


def _conditions_can_be_asked(draft: Draft) -> Iterator[Fault]:
    for id_, ticket in draft.specs():
        if not (ticket.if_done or ticket.skip_if):
            continue
        if ticket.if_done and ticket.skip_if:
            hint = 'in a command: skip_if = "test -s FILE && COMMAND"'
            yield Fault(draft.place(id_, "skip_if"), "a ticket has either `if_done` or `skip_if`", hint)
        if "\0" in ticket.skip_if:
            yield Fault(draft.place(id_, "skip_if"), _NUL)
        for index, text in enumerate(ticket.if_done):
            try:
                parse_pattern(text, draft.workdir)
            except ValueError as error:
                yield Fault(draft.place(id_, "if_done", index), str(error))


def _requirements_can_be_checked(draft: Draft) -> Iterator[Fault]:
    for (key, index), fault in _faults_of_requirements(draft.settings):
        yield fault._replace(path=("plan", key, index))
    for name, agent in draft.agents.items():
        for (key, index), fault in _faults_of_requirements(agent):
            yield fault._replace(path=("agents", name, key, index))
    for id_, ticket in draft.specs():
        if ticket.requires_commands or ticket.requires_files or ticket.requires_env:
            for (key, index), fault in _faults_of_requirements(ticket):
                yield fault._replace(path=draft.place(id_, key, index))


def _faults_of_requirements(source: Requires) -> Iterator[tuple[tuple[str, int], Fault]]:
    """What is wrong, with key and place in its list; the path of the fault is empty."""
    for index, text in enumerate(source.requires_commands):
        try:
            parse_command(text)
        except ValueError as error:
            yield ("requires_commands", index), Fault((), str(error), "write `git`, or `git >= 2.38`")
    for index, text in enumerate(source.requires_files):
        try:
            parse_pattern(text, "/")
        except ValueError as error:
            yield ("requires_files", index), Fault((), str(error))
    for index, text in enumerate(source.requires_env):
        if not is_variable(text):
            hint = f"write the name alone: {text.partition('=')[0]}" if text.find("=") > 0 else ""
            yield ("requires_env", index), Fault((), f"{shown(text)} is not a name of an environment variable", hint)


def _rollbacks_take_back_something(draft: Draft) -> Iterator[Fault]:
    for id_, ticket in draft.specs():
        if not (ticket.snapshot or ticket.on_fail == "rollback"):
            continue
        if ticket.snapshot and not ticket.all_writes and (path := draft.place(id_, "snapshot"))[0] == "tickets":
            yield Fault(path, "there is nothing to keep: the ticket names no files", "write `writes` or `outputs`")
        if not ticket.takes_back and not ticket.snapshot and (path := draft.place(id_, "on_fail"))[0] == "tickets":
            yield Fault(path, "nothing says how it is rolled back", "write `rollback = ...`, or `snapshot = true`")


def _environments_are_valid(draft: Draft) -> Iterator[Fault]:
    for id_, ticket in draft.specs():
        for path, message in _faults_of_env(ticket.env) if ticket.env else ():
            yield Fault(draft.place(id_, "env", *path), message)
    others = [
        *(("agents", name, agent.env) for name, agent in draft.agents.items()),
        *(("services", name, service.env) for name, service in draft.services.items()),
    ]
    for table, name, env in others:
        for path, message in _faults_of_env(env):
            yield Fault((table, name, "env", *path), message)


def _faults_of_env(env: dict[str, str]) -> Iterator[tuple[tuple[str], str]]:
    for name, value in env.items():
        if not is_variable(name):
            yield (name,), f"{shown(name)} is not a name of an environment variable"
        elif "\0" in value:
            yield (name,), _NUL


def is_variable(name: str) -> bool:
    """Whether an environment variable can have this name."""
    return bool(name) and "=" not in name and "\0" not in name


_NUL = "a NUL character cannot be passed to a process"


def _texts_have_no_nul(draft: Draft) -> Iterator[Fault]:
    if "\0" in draft.settings.workdir:
        yield Fault(("plan", "workdir"), _NUL)
    for hook in draft.hooks.__struct_fields__:
        if "\0" in getattr(draft.hooks, hook):
            yield Fault(("hooks", hook), _NUL)
    for id_, ticket in draft.specs():
        if "\0" in ticket.run + ticket.prompt + ticket.rollback or (ticket.cwd and "\0" in ticket.cwd):
            for key in ("run", "prompt", "rollback", "cwd"):
                if "\0" in (getattr(ticket, key) or ""):
                    yield Fault(draft.place(id_, key), _NUL)
    for name, agent in draft.agents.items():
        if agent.cwd and "\0" in agent.cwd:
            yield Fault(("agents", name, "cwd"), _NUL)
        for index, word in enumerate(agent.command or ()):
            if "\0" in word:
                yield Fault(("agents", name, "command", index), _NUL)
    for name, service in draft.services.items():
        for key in ("run", "ready", "stop", "cwd"):
            if "\0" in (getattr(service, key) or ""):
                yield Fault(("services", name, key), _NUL)


def _services_are_known(draft: Draft) -> Iterator[Fault]:
    hints = Hints(draft.services)
    there_is = f"there is {listed(f'`{name}`' for name in draft.services)}" if draft.services else ""
    for id_, ticket in draft.specs():
        for index, name in enumerate(ticket.uses_service):
            path = draft.place(id_, "uses_service", index)
            if name not in draft.services:
                hint = hints.of(name) or there_is or f"write [services.{name}]"
                yield Fault(path, f"there is no service {shown(name)}", hint)
            elif name in ticket.uses_service[:index]:
                yield Fault(path, f"{shown(name)} is named twice")


def _services_can_be_run(draft: Draft) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for name, service in draft.services.items():
        path = ("services", name)
        other = first.setdefault(name.lower(), name)
        if other != name:
            hint = "where the file system ignores case, their logs would be one file"
            yield Fault(path, f"{shown(name)} and {shown(other)} differ only in case", hint)
        for kind, names in (("a ticket", draft.tickets), ("an agent type", draft.agents)):
            if name in names:
                yield Fault(path, f"{kind} is called {shown(name)} as well", "requests could not tell them apart")
        if not service.run.strip() and draft.is_read(path, "run"):
            yield Fault(path, "the service has no command", 'write run = "..."')
        try:
            parse_ready(service.ready)
        except ValueError as error:
            yield Fault((*path, "ready"), str(error))
        if not service.ready_timeout and draft.is_read(path, "ready_timeout"):
            yield Fault((*path, "ready_timeout"), "no service is ready in no time", "write for instance 30s")


_RULES: tuple[Rule, ...] = (
    _names_are_plain,
    _units_have_variables_of_their_own,
    _ids_differ_in_more_than_case,
    _needs_are_known,
    _ends_are_apart,
    _groups_are_known,
    _needs_have_no_cycle,
    _gates_do_not_wait_for_themselves,
    _agents_have_room,
    _somebody_can_run_it,
    _logs_have_room,
    _limits_can_be_kept,
    _time_is_given,
    _retries_have_something_to_raise,
    _progress_can_be_read,
    _shells_take_a_command,
    _patterns_are_valid,
    _gates_can_be_run,
    _rollbacks_take_back_something,
    _checks_can_be_made,
    _failures_are_known,
    _conditions_can_be_asked,
    _requirements_can_be_checked,
    _environments_are_valid,
    _texts_have_no_nul,
    _services_are_known,
    _services_can_be_run,
    worktrees_can_be_made,
)


def _demands_can_be_met(draft: Draft, host: Host | None) -> Iterator[Fault]:
    """No ticket may ask for more of a resource than there is in all."""
    limits = {"cpu": host.cpus, "memory": host.memory} if host else dict.fromkeys(HOST_RESOURCES, float("inf"))
    hosts = set(limits) - set(draft.resources) if host else set()
    written = draft.written.get("resources")
    # What is written in [resources] but wrong there is no limit, but its name is known.
    limits |= dict.fromkeys(written, float("inf")) if isinstance(written, dict) else {}
    limits |= draft.resources.amounts
    hints = Hints(limits)
    for id_, ticket in draft.specs():
        for name, amount in ticket.uses.items() if ticket.uses else ():
            path = draft.place(id_, "uses", name)
            if name not in limits:
                hint = hints.of(name) or f"name it in [resources], for instance `{name} = 1`"
                yield Fault(path, f"there is no resource {shown(name)}", hint)
            elif amount > limits[name]:
                has = "this host has" if name in hosts else "[resources] has"
                of, most = _amount(name, amount), _amount(name, limits[name])
                yield Fault(path, f"asks for {of} {name}, and {has} {most}")


def _amount(name: str, amount: float) -> str:
    return format_size(amount) if name == "memory" else f"{amount:g}"
