"""What is said of the coding CLIs of this machine, and of plans that name them."""

import os
from collections.abc import Iterator

from parexec_tui.agents.matching import is_slow
from parexec_tui.cli.coding_clis import Looked, clis_of, look_at
from parexec_tui.client.plan_sources import top_of
from parexec_tui.core.plan import graph
from parexec_tui.core.plan.agent_type import eligible_types, with_fallbacks
from parexec_tui.core.plan.coding import ASKING, TESTED
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.one_folder import edit_together
from parexec_tui.core.plan.reading.faults import listed
from parexec_tui.core.plan.units import format_count

_MAX_NAMED = 4
"""How many of the tickets of a warning are named."""


def told_of(found: Looked) -> tuple[str, str]:
    """All that is known of a CLI, and what to do; the latter is empty if nothing is to be done.

    What no plan names is as it is: there is nothing to do about it.
    """
    cli = found.cli
    who = f"{cli.kind}, for {listed(cli.types)}" if cli.types else cli.kind
    if not found.path:
        return f"{who}: {cli.program} is not found", "install it, or put its folder on PATH"
    told, do = [f"{who}: {found.version or 'version unknown'}, {found.path}"], []
    if not found.is_asked:
        told.append("not asked, as the plan brings it along")
    elif found.is_older or found.is_newer:
        told.append(f"{'older' if found.is_older else 'newer'} than what was tested, {TESTED[cli.kind]}")
    else:
        told.append(f"tested: {TESTED[cli.kind]}")
    if found.is_older:
        do.append("update it")
    if found.is_asked:
        told.append(f"sandbox: {'none of its own' if found.sandbox is None else found.sandbox.text}")
        if cli.wants_sandbox and found.sandbox is not None and not found.sandbox.is_there:
            do.append(found.sandbox.remedy)
        if found.login is not None:
            told.append(f"account: {found.login.text}")
            if found.login.is_in is False:
                do.append(found.login.remedy)
        else:
            told.append("account: not asked, as the plan gives it variables")
    return "; ".join(told), "; ".join(do) if cli.types else ""


def coding_warnings(plan: Plan) -> Iterator[str]:
    """What is likely to go wrong with coding CLIs here, a line each; nothing where a plan names none."""
    if not any(agent.kind is not None for agent in plan.agents.values()):
        return
    for found in look_at(clis_of(plan), wants_login=False):
        cli = found.cli
        who = f"agents.{cli.types[0]}" if len(cli.types) == 1 else f"agents {listed(cli.types)}"
        if found.is_older:
            yield f"{who}: {cli.program} is {found.version}, older than what was tested, {TESTED[cli.kind]}"
        if cli.wants_sandbox and found.sandbox is not None and not found.sandbox.is_there:
            do = f'{found.sandbox.remedy}, or write permissions = "edit" (no commands) or "all"'
            yield f'{who}: permissions = "sandbox", and there is none here: {found.sandbox.text}; {do}'
    for name, agent in plan.agents.items():
        if agent.kind is None or agent.permissions != "all":
            continue
        yield f'agents.{name}: permissions = "all": it may do all that you may, with no sandbox around it'
        is_told = "IS_SANDBOX" in agent.env or os.environ.get("IS_SANDBOX")
        if agent.kind == "claude" and os.geteuid() == 0 and not is_told:
            yield f"agents.{name}: claude refuses that for root, unless IS_SANDBOX=1 says that this is a container"
    yield from _in_vain(plan)
    yield from _useless_fallbacks(plan)
    yield from _unseen(plan)
    for found_together in edit_together(plan):
        ids = found_together.tickets
        names = listed(ids, limit=_MAX_NAMED)
        if found_together.by_choice:
            instead = 'leave isolation = "none" out'
        elif top_of(plan.workdir):
            instead = "commit the files of that folder (then each has a worktree)"
        else:
            instead = "make the workdir a git repository with a commit (then each has a worktree)"
        pairs = format_count(found_together.pairs, "pair")
        yield (
            f"tickets {names} may edit {found_together.folder} at once ({pairs}), and one may lose what another did: "
            f"{instead}, or say what each `writes`"
        )


def _in_vain(plan: Plan) -> Iterator[str]:
    """What agent types say that does nothing: to ask a person, where the CLI cannot; patterns that take for ever."""
    for name, agent in plan.agents.items():
        if agent.ask == "person" and agent.kind is not None and agent.kind not in ASKING:
            yield (
                f'agents.{name}: ask = "person" does nothing: {agent.kind} can ask nobody while it runs; '
                f"{listed(sorted(ASKING, reverse=True))} can; `on_denied` says what follows instead"
            )
        for key in ("limited", "unavailable"):
            for index, pattern in enumerate(getattr(agent, key)):
                if is_slow(pattern):
                    yield (
                        f"agents.{name}.{key}[{index}]: {pattern!r} takes for ever on some texts, and then finds "
                        "nothing: leave out one repetition of those inside each other"
                    )


def _useless_fallbacks(plan: Plan) -> Iterator[str]:
    """Fallbacks that can run no ticket of the types that name them."""
    if not any(agent.fallback for agent in plan.agents.values()):
        return
    able: dict[str, set[str]] = {name: set() for name in plan.agents}
    for ticket in plan.tickets.values():
        chain = with_fallbacks(plan.agents, ticket)
        for name in eligible_types(plan.agents, ticket):
            able[name].update(chain)
    for name, agent in plan.agents.items():
        for other in agent.fallback:
            if able[name] and other not in able[name]:
                yield f"agents.{name}: its fallback {other} can run none of its tickets"


def _unseen(plan: Plan) -> Iterator[str]:
    """Who looks in the workdir for what was merged into a branch that is not there."""
    apart = [
        name
        for name, agent in plan.agents.items()
        if agent.kind is not None and agent.isolation == "worktree" and not agent.update_checkout
    ]
    if not apart:
        return
    types = {id_: eligible_types(plan.agents, ticket) for id_, ticket in plan.tickets.items()}
    theirs = {id_ for id_, names in types.items() if not set(names).isdisjoint(apart)}
    dependencies = graph.build(plan.tickets)
    who = [
        id_
        for id_, names in types.items()
        if not theirs.isdisjoint(dependencies.needs[id_])
        and all(plan.agents[name].isolation != "worktree" for name in names)
        and "@merged" not in plan.tickets[id_].run  # it knows where to look
    ]
    gates = [f"the gates of {name}" for name, group in plan.groups.items() if group.gates]
    gates += ["the gates of the plan"] if plan.settings.gates else []
    tickets = f"tickets.{who[0]}" if len(who) == 1 else f"tickets {listed(who, limit=_MAX_NAMED)}"
    if told := [*([tickets] if who else []), *(gates if theirs else [])]:
        yield (
            f"{listed(told)}: the workdir has nothing of what agents {listed(apart)} did, which is merged into a "
            "branch: write update_checkout = true for these, or let `gates` of their tickets look at it"
        )
