"""Gates and checks say one thing each that can be done."""

from collections.abc import Iterator

from parexec_tui.core.plan.checks import MOST_CHECKS, SHORTEST
from parexec_tui.core.plan.gates import MAX_ALTERNATIVES, Gate, Gates, as_gate, is_number
from parexec_tui.core.plan.patterns import parse_pattern
from parexec_tui.core.plan.reading.faults import Fault, Path
from parexec_tui.core.plan.reading.rules.commands import NUL
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.reading.rules.limits import no_time


def gates_can_be_run(draft: Draft) -> Iterator[Fault]:
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


def checks_can_be_made(draft: Draft) -> Iterator[Fault]:
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
                yield Fault((*path, "run"), NUL)
            if check.run and check.timeout is not None and not check.timeout:
                yield no_time((*path, "timeout"))
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
            yield Fault(place, NUL)
        if check.timeout is not None and not check.timeout:
            yield no_time((*place, "timeout"))
