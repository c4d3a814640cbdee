"""Agent types that are coding CLIs."""

import re
from collections.abc import Iterator, Mapping

from parexec_tui.core.plan.agent_type import AgentType, eligible_types, with_fallbacks
from parexec_tui.core.plan.coding import OWN_FLAGS, WITH_SANDBOX, is_minded
from parexec_tui.core.plan.reading.faults import Fault, Hints, listed
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown

_OF_KINDS = ("program", "args", "model", "permissions", "ask")
_OF_MINDED = ("account", "budget", "prices", "limited", "unavailable")


def coding_clis_can_be_started(draft: Draft) -> Iterator[Fault]:
    hints = Hints(draft.agents)
    for name, agent in draft.agents.items():
        path = ("agents", name)
        for index, other in enumerate(agent.fallback):
            if other not in draft.agents:
                hint = hints.of(other) or f"there is {listed(f'`{each}`' for each in draft.agents)}"
                yield Fault((*path, "fallback", index), f"there is no agent type {shown(other)}", hint)
            elif other == name:
                yield Fault((*path, "fallback", index), "it is its own fallback", "name another agent type")
        if agent.kind is None:
            yield from _without_kind(path, agent)
        else:
            yield from _with_kind(path, agent)
        for key in ("limited", "unavailable"):
            for index, pattern in enumerate(getattr(agent, key)):
                try:
                    re.compile(pattern)
                except re.error as error:
                    yield Fault((*path, key, index), f"{shown(pattern)} is no regular expression: {error}")


def _without_kind(path: tuple[str, ...], agent: AgentType) -> Iterator[Fault]:
    said = [key for key in _OF_KINDS if getattr(agent, key) != getattr(_PLAIN, key)]
    said += [key for key in _OF_MINDED if getattr(agent, key) and agent.speaks is None]
    for key in said:
        yield Fault((*path, key), "it means nothing without a coding CLI", 'write kind = "claude", or another')
    if agent.speaks is not None and agent.command is None:
        yield Fault((*path, "speaks"), "it is said of a `command`, and there is none", "add `command = [...]`")


_PLAIN = AgentType()


def _with_kind(path: tuple[str, ...], agent: AgentType) -> Iterator[Fault]:
    assert agent.kind is not None
    if agent.kind == "acp" and agent.command is None:
        yield Fault((*path, "kind"), "an agent of this kind has a `command`", 'for instance ["goose", "acp"]')
    for key in ("shell", "speaks", *(("command",) if agent.kind != "acp" else ("program",))):
        if getattr(agent, key):
            hint = "" if key != "command" else "`program` names another program, `args` adds arguments"
            yield Fault((*path, key), f"it does not stand beside kind = {shown(agent.kind)}", hint)
    own = OWN_FLAGS.get(agent.kind, ())
    for index, word in enumerate(agent.args):
        if word.split("=")[0] in own:
            yield Fault((*path, "args", index), f"parexec gives {shown(word.split('=')[0])} itself", _INSTEAD)
    if agent.permissions == "sandbox" and agent.kind not in WITH_SANDBOX:
        yield Fault(
            (*path, "kind"),
            f"{agent.kind} has no sandbox",
            'write permissions = "read", "edit" or "all"',
        )


_INSTEAD = "leave it out: `model`, `permissions`, `budget` and `conversation` say what it says"


def conversations_go_on(draft: Draft) -> Iterator[Fault]:
    first: dict[str, str] = {}
    for id_, ticket in draft.specs():
        if ticket.prompt_file and ticket.prompt:
            yield Fault(draft.place(id_, "prompt_file"), "there is a `prompt` as well", "leave one of them out")
        if not ticket.from_ or id_ is None:
            continue
        place, other = draft.place(id_, "from"), ticket.from_
        if other not in ticket.waits:
            hint = f"add {shown(other)} to `needs`" if other in draft.tickets else ""
            yield Fault(place, f"it goes on in the conversation of {shown(other)}, which it does not need", hint)
        elif first.setdefault(other, id_) != id_:
            hint = f"write from = {shown(first[other])} here, and need that"
            yield Fault(place, f"{shown(first[other])} goes on in the conversation of {shown(other)} already", hint)
        elif not draft.unread and not draft.wrong and (told := _why_not_shared(draft, ticket, other)):
            yield Fault(place, told, "name an `agent` of one kind in both")


def _why_not_shared(draft: Draft, ticket: Ticket, other: str) -> str:
    """Why no agent that may run a ticket goes on with what one of the other said; empty if one does."""
    if other not in draft.tickets:
        return ""
    own, theirs = eligible_types(draft.agents, ticket), with_fallbacks(draft.agents, draft.tickets[other])
    if not own or not theirs or any(_share(draft.agents, one, two) for one in own for two in theirs):
        return ""
    runs = listed(f"`{name}`" for name in theirs)
    return f"{shown(other)} runs on {runs}, and `{own[0]}` cannot go on with a conversation of that"


def _share(agents: Mapping[str, AgentType], one: str, two: str) -> bool:
    if one == two:
        return is_minded(agents[one])
    kind = agents[one].kind
    return kind not in (None, "acp") and kind == agents[two].kind
