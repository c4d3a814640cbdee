"""Reads a fragment: tickets that join a plan, which a person adds or a ticket generated."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from msgspec import structs

from parexec_tui.core.plan.expanding.around import Around, around, variables_around
from parexec_tui.core.plan.expanding.expand import Expanded, expand, may_expand
from parexec_tui.core.plan.expanding.given import Given
from parexec_tui.core.plan.expanding.including import INCLUDE, Included, PlanText, PlanTexts, with_included
from parexec_tui.core.plan.expanding.origins import Origins
from parexec_tui.core.plan.expanding.outside import NOTHING_OUTSIDE, Outside
from parexec_tui.core.plan.expanding.own_paths import has_own_paths, see_from
from parexec_tui.core.plan.family import Family, with_limits
from parexec_tui.core.plan.generated import MAX_DEPTH, MAX_GENERATED, as_member, depth_of, joined
from parexec_tui.core.plan.model import Host, Plan
from parexec_tui.core.plan.quoting import quoted_twice
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.file import PlanErrors, as_written, draft_of, parse, parsed
from parexec_tui.core.plan.reading.positions import Format
from parexec_tui.core.plan.reading.rules import broken_rules
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import shown

_OF_PLANS = (
    "plan", "agents", "resources", "hosts", "services", "secrets", "groups", "group", "hooks", "pressure", "otel",
    "profiles", "families",
)  # fmt: skip
"""Tables that only a plan file has."""


class Generation(NamedTuple):
    """Whose tickets a fragment has, if a ticket generated it."""

    by: str
    """The id of that ticket, which is in the plan."""
    before: tuple[str, ...] = ()
    """The tickets that it had generated before: these take their place."""


def read_fragment(
    text: str,
    *,
    source: str,
    format: Format,  # noqa: A002
    plan: Plan,
    host: Host | None = None,
    given: Given = Given(),  # noqa: B008 - frozen
    outside: Outside = NOTHING_OUTSIDE,
    folder: str = "",
    generation: Generation | None = None,
    fills: bool = True,
    limits: dict[str, Family] | None = None,
) -> dict[str, Ticket]:
    """Read tickets to add to a plan, with `[defaults]` of their own; they may need tickets of the plan.

    Families are expanded, and variables filled in: those of `[vars]` of the fragment, and of the plan. `given`: what
    a person says of them; `outside` reads what the fragment names that does not stand in it; `folder`: the absolute
    one that the fragment stands in, for what it includes; empty: it includes nothing. Paths in tickets and families
    are seen from the workdir of the plan. Unless it `fills` them in, variables are not: braces are meant.

    `limits`: where those of its families go, which are new in the plan; None: they may have none.

    One that a ticket generated may be empty. Raises PlanErrors with every mistake in the fragment, GivenError for
    what is wrong in `given`.
    """
    main = PlanText(source, text.removeprefix("\ufeff"), format)
    found = Included(parse(main), PlanTexts([main]))
    if generation is not None and not (found.document.keys() - {"tickets"} or found.document.get("tickets")):
        return {}
    if INCLUDE in found.document and folder:
        found = with_included(found.document, main, folder, outside.read, parsed)
    faults = [
        Fault((table,), "a fragment has tickets, defaults and vars only", "edit the plan file, then reload it")
        for table in (*_OF_PLANS, *(() if folder else (INCLUDE,)))
        if table in found.document
    ]
    document = {key: value for key, value in found.document.items() if key not in (*_OF_PLANS, INCLUDE)}
    may_limit = limits is not None
    expanded = _expanded(document, found.texts, plan, given, outside, generation, fills=fills, limited=may_limit)
    if any(has_own_paths(each.text) for each in found.texts.files):
        see_from(expanded.document, folder or plan.workdir)
    faults += expanded.faults
    if fills:
        faults += quoted_twice(document, (each.text for each in found.texts.files), plan.settings.shell)
    is_none = generation is not None and expanded.document.get("tickets", {}) == {}
    draft, wrong = draft_of(expanded.document, plan.workdir)
    if is_none:  # there was nothing to do, or its families found nothing
        wrong = [fault for fault in wrong if fault.path != ("tickets",)]
        if not (found.problems or faults or wrong):
            return {}
    before: tuple[str, ...] = ()
    if generation is not None:
        draft, before = _generated(draft, plan, generation), generation.before
        wrong += _beyond_limits(draft, plan, generation)
    gone = set(before)
    taken = [id_ for id_ in draft.tickets if id_ in plan.tickets and id_ not in gone]
    wrong += [
        Fault(("tickets", id_), "the plan has a ticket of this id already", "edit it, or choose another id")
        for id_ in taken
    ]
    whole = structs.replace(
        draft,
        tickets=joined(plan.tickets, generation.by, draft.tickets, before)
        if generation is not None
        else {**plan.tickets, **draft.tickets},
        settings=plan.settings,
        agents=plan.agents,
        resources=plan.resources,
        groups=plan.groups,
        services=plan.services,
        hosts=plan.hosts,
        secrets=plan.secrets,
        families=with_limits(plan.families, draft.families),
        variables=plan.variables,
        workdir=plan.workdir,
        joins=True,
    )
    broken = broken_rules(whole, host)
    theirs = (
        {("tickets", id_) for id_ in plan.tickets if id_ not in draft.tickets or id_ in taken} if broken else set()
    )
    # What is wrong with tickets of the plan follows from these: it is told only if nothing is wrong with these.
    wrong += as_written(draft, [each for each in broken if each.path[:2] not in theirs] or ([] if wrong else broken))
    if found.problems or faults or wrong:
        raise PlanErrors((*found.problems, *found.texts.located([*faults, *expanded.origins.in_file(wrong)])))
    if limits is not None:
        limits.update(draft.families)
    return draft.tickets


def _expanded(
    document: dict[str, Any],
    texts: PlanTexts,
    plan: Plan,
    given: Given,
    outside: Outside,
    generation: Generation | None,
    *,
    fills: bool,
    limited: bool,
) -> Expanded:
    """The document with its families and variables replaced, if it may have any."""
    own = plan.tickets[generation.by].generates if generation is not None else ""
    there = around(plan, own)
    has_words = any(may_expand(each.text, document, given) for each in texts.files)
    if not (has_words or plan.variables or there.families):
        return Expanded(document, Origins(), {}, [])
    written = document.get("vars", {})
    if fills and isinstance(written, dict) and (variables := {**variables_around(plan), **written}):
        document = {**document, "vars": variables}
    expanded = expand(document, folder=plan.workdir, given=given, look=outside.look, around=there)
    return _without_limits(expanded, there, own, limited=limited)


def _without_limits(expanded: Expanded, there: Around, own: str, *, limited: bool) -> Expanded:
    """Say what cannot be of the families of a fragment: a new family has a new name, and, unless they may be
    `limited`, limits stand in the plan."""
    limits = expanded.document.pop("families", {}) if not limited else {}
    for name, keys in limits.items():
        hint = f"write [families.{own or name}] in the plan file"
        expanded.faults.extend(
            Fault(("tickets", name, key), "the limits of a family stand in the plan", hint) for key in keys
        )
    for name in dict.fromkeys(expanded.origins.families.values()) if not own else ():
        if name in there.families:
            expanded.faults.append(Fault(("tickets", name), f"the plan has a family {shown(name)} already"))
    return expanded


def _generated(draft: Draft, plan: Plan, generation: Generation) -> Draft:
    """The tickets as members of the family that they are generated for."""
    family = plan.tickets[generation.by].generates
    tickets = {id_: as_member(ticket, family, generation.by) for id_, ticket in draft.tickets.items()}
    return structs.replace(draft, tickets=tickets)


def _beyond_limits(draft: Draft, plan: Plan, generation: Generation) -> Iterator[Fault]:
    if len(draft.tickets) > MAX_GENERATED:
        hint = "let several tickets generate them"
        yield Fault(("tickets",), f"{len(draft.tickets)} tickets: one ticket may generate {MAX_GENERATED}", hint)
    for id_, ticket in draft.tickets.items():
        if ticket.finally_:
            yield Fault(draft.place(id_, "finally"), "what runs at the end stands in the plan file")
    deep = [id_ for id_, ticket in draft.tickets.items() if ticket.generates]
    if deep and depth_of(plan.tickets, generation.by) >= MAX_DEPTH:
        message = f"it would be the ticket {MAX_DEPTH + 1} in a line that generate one another"
        yield Fault(draft.place(deep[0], "generates"), message, f"there may be {MAX_DEPTH}")
