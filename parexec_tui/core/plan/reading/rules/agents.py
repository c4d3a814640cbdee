"""Each ticket has an agent type that can run it."""

from collections.abc import Collection, Iterator
from itertools import chain

from parexec_tui.core.plan.agent_type import AgentType, blanks, eligible_types, has_capabilities
from parexec_tui.core.plan.reading.faults import Fault, Hints, listed
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown


def agents_have_room(draft: Draft) -> Iterator[Fault]:
    for name, agent in draft.agents.items():
        if agent.max is not None and agent.min > agent.max:
            yield Fault(("agents", name, "min"), f"min = {agent.min} is more than max = {agent.max}")


_WHO_RUNS_IT = ("agent", "requires", "run", "prompt", "prompt_file")


def somebody_can_run_it(draft: Draft) -> Iterator[Fault]:
    answers: dict[tuple[object, ...], list[Fault]] = {}
    hints = Hints(draft.agents)
    for id_, ticket in draft.specs():
        has_run, has_prompt = bool(ticket.run.strip()), bool(ticket.prompt.strip())
        asked = (ticket.agent, ticket.requires, id_ is None, has_run, has_prompt, bool(ticket.prompt_file))
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
            yield Fault((), f"no agent type can run it: {told}", _what_to_add(ticket, wants.values()))


def _what_to_add(ticket: Ticket, wants: Collection[tuple[str, ...]]) -> str:
    """What lets an agent type run a ticket of which each wants something more."""
    if (ticket.prompt or ticket.prompt_file) and not ticket.run and all("run" in keys for keys in wants):
        return 'a `prompt` is for a coding agent: add `[agents.claude]` with kind = "claude"'
    first = next(iter(wants))[0]
    if ticket.run and all("run" not in keys for keys in wants):
        return f'add `{first} = "..."`, or for its `run` an agent type without a kind: `[agents.shell]`'
    return f'add `{first} = "..."`'


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
