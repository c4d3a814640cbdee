"""Reads a plan file: text in, a `Plan` or every mistake in it out.

A plan is read at once by `msgspec`, whatever its size. Only if that fails is it read key by key, to find
everything that is wrong; and only if something is wrong are the positions of its keys looked up.
"""

import json
import posixpath
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, NamedTuple, NoReturn

import msgspec
import tomli
from msgspec import Struct, structs

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.expanding.defaults import merged
from parexec_tui.core.plan.expanding.expand import Expanded, expand, may_expand
from parexec_tui.core.plan.expanding.given import Given
from parexec_tui.core.plan.expanding.including import INCLUDE, Included, PlanText, PlanTexts, with_included
from parexec_tui.core.plan.expanding.origins import Origins
from parexec_tui.core.plan.expanding.outside import NOTHING_OUTSIDE, Outside
from parexec_tui.core.plan.expanding.own_paths import has_own_paths, see_from
from parexec_tui.core.plan.expanding.unfilled import in_table, may_name_values, named_in_vain
from parexec_tui.core.plan.family import Family
from parexec_tui.core.plan.gates import Group
from parexec_tui.core.plan.hosts import HostSpec
from parexec_tui.core.plan.model import Host, Plan, PlanDocument
from parexec_tui.core.plan.otel import Otel
from parexec_tui.core.plan.plan_settings import Hooks, PlanSettings
from parexec_tui.core.plan.pressure import Pressure
from parexec_tui.core.plan.quoting import quoted_twice
from parexec_tui.core.plan.reading.empty_groups import groups_without_tickets
from parexec_tui.core.plan.reading.faults import UNKNOWN_KEY, Fault, Hints, Path
from parexec_tui.core.plan.reading.fields import (
    convert,
    decode,
    hint_for_misplaced,
    kind,
    read_fields,
    read_resources,
)
from parexec_tui.core.plan.reading.positions import Format, repeated_keys
from parexec_tui.core.plan.reading.problems import Problem, located
from parexec_tui.core.plan.reading.rules import broken_rules
from parexec_tui.core.plan.reading.rules.draft import Draft
from parexec_tui.core.plan.reading.rules.hosts import with_known_hosts
from parexec_tui.core.plan.reading.unread import by_table
from parexec_tui.core.plan.resources import Resources
from parexec_tui.core.plan.secrets import SecretSource
from parexec_tui.core.plan.services import Service
from parexec_tui.core.plan.ticket import Ticket


class PlanErrors(Exception):  # noqa: N818 - there may be many
    """A plan file cannot be used; `problems` is everything that is wrong with it, in the order of the file."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


NO_TICKETS = Fault(("tickets",), "the plan has no tickets", "write one, for instance [tickets.first]")


class ReadPlan(NamedTuple):
    """A plan, and what became of its text on the way."""

    plan: Plan
    document: dict[str, Any]
    """As it was read: its variables filled in, its families replaced by their members."""
    origins: Origins
    """Where tickets of it come from that do not stand in the text as they are."""
    texts: PlanTexts
    """The files that it stands in."""

    def problems(self, faults: Iterable[Fault]) -> tuple[Problem, ...]:
        """Faults of a plan that could be read, with their places in its files.

        What a ticket takes from `[defaults]` stands there; many tickets that take the same have one problem in
        common.
        """
        tickets = self.document["tickets"]
        moved = []
        for fault in faults:
            match fault.path:
                case ("tickets", str(id_), key, *rest) if key not in tickets.get(id_, {}):
                    moved.append(fault._replace(path=("defaults", key, *rest)))
                case _:
                    moved.append(fault)
        return self.texts.located(dict.fromkeys(self.origins.in_file(moved)))


def read_plan(
    text: str,
    *,
    source: str,
    folder: str,
    format: Format,  # noqa: A002
    host: Host | None = None,
    given: Given = Given(),  # noqa: B008 - frozen
    outside: Outside = NOTHING_OUTSIDE,
) -> Plan:
    """Read and check a plan: see `read_whole`."""
    return read_whole(PlanText(source, text, format), folder=folder, host=host, given=given, outside=outside).plan


def read_whole(
    main: PlanText,
    *,
    folder: str,
    host: Host | None = None,
    given: Given = Given(),  # noqa: B008 - frozen
    outside: Outside = NOTHING_OUTSIDE,
) -> ReadPlan:
    """Read and check a plan.

    `folder` is the absolute folder that its file stands in. With a `host`, no ticket may demand more cpu or memory
    than it has, unless `[resources]` says how much there is. `given`: what a person says of its variables; `outside`
    reads what it names that does not stand in it.

    Raises PlanErrors with every mistake in the plan, GivenError for what is wrong in `given`.
    """
    main = main._replace(text=main.text.removeprefix("\ufeff"))
    found = Included(parse(main), PlanTexts([main]))
    if INCLUDE in found.document:
        found = with_included(found.document, main, folder, outside.read, parsed)
    document, texts = found.document, found.texts
    if any(may_expand(each.text, document, given) for each in texts.files):
        expanded = expand(document, folder=folder, given=given, look=outside.look)
    else:
        expanded = Expanded(document, Origins(), {}, [*_named_in_vain(document, texts)])
    if any(has_own_paths(each.text) for each in texts.files):
        see_from(expanded.document, folder)
    draft, faults = draft_of(expanded.document, folder)
    if expanded.nothing:
        faults = [*_no_members(faults, expanded.nothing)]
    draft = structs.replace(draft, variables=expanded.variables) if expanded.variables else draft
    if any(agent.kind is not None and agent.isolation is None for agent in draft.agents.values()):
        draft = _kept_apart(draft, outside.is_repository)
    if any(agent.on or agent.on_labels for agent in draft.agents.values()):
        draft = structs.replace(draft, hosts=with_known_hosts(draft, outside.hosts()))
    faults += as_written(draft, broken_rules(draft, host))
    faults += groups_without_tickets(draft, faults)
    quoted = list(quoted_twice(document, (each.text for each in texts.files)))
    if found.problems or faults or quoted or expanded.faults:
        raise PlanErrors(
            (*found.problems, *texts.located([*quoted, *expanded.faults, *expanded.origins.in_file(faults)]))
        )
    plan = Plan(
        settings=_with_name(draft.settings, main.name),
        tickets=draft.tickets,
        agents=_with_shells(draft),
        resources=draft.resources,
        families=draft.families,
        without_members={name: fault.message for name, fault in expanded.nothing.items()},
        variables=expanded.variables,
        given=given,
        included=found.paths,
        groups=draft.groups,
        services=draft.services,
        hosts=draft.hosts,
        secrets=draft.secrets,
        hooks=draft.hooks,
        pressure=draft.pressure,
        otel=draft.otel,
        workdir=draft.workdir,
        source=main.name,
    )
    return ReadPlan(plan, expanded.document, expanded.origins, texts)


def _no_members(faults: Iterable[Fault], nothing: Mapping[str, Fault]) -> Iterator[Fault]:
    """The faults, where that the plan has no tickets is said of each family that has none."""
    for fault in faults:
        if fault is NO_TICKETS:
            yield from (
                each._replace(message=f"{each.message}: family {name} has no tickets, and the plan has no others")
                for name, each in nothing.items()
            )
        else:
            yield fault


def _named_in_vain(document: dict[str, Any], texts: PlanTexts) -> Iterator[Fault]:
    tickets, defaults = document.get("tickets"), document.get("defaults")
    if isinstance(tickets, dict) and any(may_name_values(each.text) for each in texts.files):
        yield from named_in_vain(tickets, tickets.__contains__)
        yield from in_table(defaults, ("defaults",), tickets.__contains__) if isinstance(defaults, dict) else ()


def _with_name(settings: PlanSettings, source: str) -> PlanSettings:
    if settings.name:
        return settings
    return structs.replace(settings, name=posixpath.splitext(posixpath.basename(source))[0])


def _with_shells(draft: Draft) -> dict[str, AgentType]:
    """The agent types, those that do not say how they run a ticket with the shell of the plan."""
    shell = draft.settings.shell
    return {
        name: structs.replace(type_, shell=shell)
        if type_.shell is type_.command is None and type_.kind is None
        else type_
        for name, type_ in draft.agents.items()
    }


def _kept_apart(draft: Draft, is_repository: Callable[[str], bool]) -> Draft:
    """The same, in which coding CLIs have worktrees if there is a repository, or a ticket makes it, and the plan does
    not say it."""
    written = (text for ticket in draft.tickets.values() for text in ticket.all_writes)
    if not (is_repository(draft.workdir) or any(text.removeprefix("./").split("/")[0] == ".git" for text in written)):
        return draft
    agents = {
        name: structs.replace(agent, isolation="worktree") if agent.kind and agent.isolation is None else agent
        for name, agent in draft.agents.items()
    }
    return structs.replace(draft, agents=agents)


# Text to a document


def parsed(file: PlanText) -> dict[str, Any] | tuple[Problem, ...]:
    """The text of a file as plain values, or why it has none."""
    try:
        return parse(file)
    except PlanErrors as errors:
        return errors.problems


def parse(file: PlanText) -> dict[str, Any]:
    """The text of a file as plain values. Raises PlanErrors."""
    source, text, syntax = file

    def refuse(message: str, line: int = 1, column: int = 1, hint: str = "") -> NoReturn:
        raise PlanErrors((Problem(source, line, column, "", message, hint),)) from None

    try:
        text.encode()
        document = tomli.loads(text) if syntax == "toml" else _parse_json(text)
    except tomli.TOMLDecodeError as error:
        refuse(_lower_first(error.msg), error.lineno, error.colno)
    except json.JSONDecodeError as error:
        refuse(_lower_first(error.msg), error.lineno, error.colno)
    except UnicodeEncodeError as error:
        line = text.count("\n", 0, error.start) + 1
        refuse("not a character", line, error.start - text.rfind("\n", 0, error.start))
    except RecursionError:
        refuse("nested too deeply")
    except ValueError as error:  # a number of thousands of digits
        refuse(str(error))
    if isinstance(document, _Repeated):
        faults = [Fault(path, "this key is there twice") for path in repeated_keys(text)]
        raise PlanErrors(located(faults, text, source, syntax))
    if not isinstance(document, dict):
        refuse(f"expected an object with the tables of a plan, got {kind(document)}")
    if _SURROGATE.search(text) and (faults := list(_no_texts(document, ()))):
        raise PlanErrors(located(faults, text, source, syntax))
    if "\\r" in text or "\\u000" in text:
        _end_lines_as_shells_do(document)
    return document


def _no_texts(value: object, path: tuple[str | int, ...]) -> Iterator[Fault]:
    """What in a document no UTF-8 can say: half of a pair of surrogates, which JSON and names of files may have."""
    match value:
        case str():
            try:
                value.encode()
            except UnicodeEncodeError:
                yield Fault(path, f"{value!r} is no text: UTF-8 cannot say it")
        case list():
            for index, item in enumerate(value):
                yield from _no_texts(item, (*path, index))
        case dict():
            for key, item in value.items():
                yield from _no_texts(key, path)
                yield from _no_texts(item, (*path, key))
        case _:
            pass


def _end_lines_as_shells_do(document: dict[str, Any]) -> None:
    """Let the lines of commands end with LF: a shell takes the CR of a CRLF, which JSON may have, for a character."""
    tables = [document.get("hooks"), document.get("defaults")]
    for named in (document.get("tickets"), document.get("services")):
        if isinstance(named, dict):
            tables += named.values()
    for table in tables:
        if isinstance(table, dict):
            for key in ("run", "skip_if", "rollback", "ready", "stop", *Hooks.__struct_fields__):
                if isinstance(value := table.get(key), str):
                    table[key] = value.replace("\r\n", "\n")


_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class _Repeated:
    """Stands for a JSON document in which a key is there twice: `json` would drop one of them silently."""


def _parse_json(text: str) -> object:
    repeated = False

    def as_table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        nonlocal repeated
        table = dict(pairs)
        repeated = repeated or len(table) < len(pairs)
        return table

    def no_number(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a number in JSON")

    document = json.loads(text, object_pairs_hook=as_table, parse_constant=no_number)
    return _Repeated() if repeated else document


def _lower_first(message: str) -> str:
    return message[:1].lower() + message[1:]


# A document to a draft


def draft_of(document: dict[str, Any], folder: str) -> tuple[Draft, list[Fault]]:
    """A document before it is checked, and what is wrong in its tables. `folder`: that of the file, absolute."""
    faults: list[Fault] = []
    left_out: set[Path] = set()
    try:
        parts = _read_at_once(document)
    except msgspec.ValidationError:
        parts, faults = _read_by_key(document, left_out)
    draft = Draft(
        written=document,
        settings=parts.plan,
        defaults=parts.defaults,
        resources=parts.resources,
        agents=parts.agents or {"agent": AgentType()},
        groups={**parts.groups, **parts.group},
        services=parts.services,
        hosts=parts.hosts,
        secrets=parts.secrets,
        hooks=parts.hooks,
        pressure=parts.pressure,
        otel=parts.otel,
        families=parts.families,
        tickets=parts.tickets,
        workdir=posixpath.normpath(posixpath.join(folder, parts.plan.workdir)),
        unread=by_table(faults),
        wrong=frozenset(fault.path for fault in faults),
        left_out=frozenset(left_out),
    )
    return draft, faults


def as_written(draft: Draft, faults: list[Fault]) -> list[Fault]:
    """The faults of a draft with the places in lists that they have in the document."""
    gaps: dict[Path, list[int]] = {}
    for *path, index in sorted(draft.left_out, key=lambda place: place[-1]):
        before = gaps.setdefault(tuple(path), [])
        before.append(int(index) - len(before))  # the place in the draft from which on one more is missing
    return [fault._replace(path=_with_gaps(fault.path, gaps)) for fault in faults] if gaps else faults


def _with_gaps(path: Path, gaps: dict[Path, list[int]]) -> Path:
    found: Path = ()
    for part in path:
        found += (part + bisect_right(gaps.get(found, ()), part) if isinstance(part, int) else part,)
    return found


def _read_at_once(document: dict[str, Any]) -> PlanDocument:
    defaults, tickets = document.get("defaults"), document.get("tickets")
    if isinstance(defaults, dict) and isinstance(tickets, dict):
        document = {**document, "tickets": merged(defaults, tickets)}
    return msgspec.convert(document, PlanDocument, dec_hook=decode)


def _read_by_key(document: dict[str, Any], left_out: set[Path]) -> tuple[PlanDocument, list[Fault]]:
    """What is right of a document, and all that is wrong in its tables."""
    faults = list(_top_level_faults(document))

    def table(model: type[Struct], key: str) -> dict[str, Any]:
        good, found = read_fields(model, document.get(key, {}), (key,), left_out)
        faults.extend(found)
        return good

    def tables(model: type[Struct], key: str) -> dict[str, Any]:
        good, found = _read_tables(model, document.get(key, {}), (key,), left_out)
        faults.extend(found)
        return good

    defaults, tickets = table(Ticket, "defaults"), tables(Ticket, "tickets")
    resources, found = read_resources(document.get("resources", {}), ("resources",))
    faults += found
    parts = PlanDocument(
        plan=convert(PlanSettings, table(PlanSettings, "plan")),
        defaults=convert(Ticket, defaults),
        resources=Resources.parse(resources),
        agents={name: convert(AgentType, each) for name, each in tables(AgentType, "agents").items()},
        groups={name: convert(Group, each) for name, each in tables(Group, "groups").items()},
        group={name: convert(Group, each) for name, each in tables(Group, "group").items()},
        services={name: convert(Service, each) for name, each in tables(Service, "services").items()},
        hosts={name: convert(HostSpec, each) for name, each in tables(HostSpec, "hosts").items()},
        secrets={name: convert(SecretSource, each) for name, each in tables(SecretSource, "secrets").items()},
        hooks=convert(Hooks, table(Hooks, "hooks")),
        pressure=convert(Pressure, table(Pressure, "pressure")),
        otel=convert(Otel, table(Otel, "otel")),
        families={name: convert(Family, each) for name, each in tables(Family, "families").items()},
        tickets={id_: convert(Ticket, each) for id_, each in merged(defaults, tickets).items()},
    )
    return parts, faults


def _top_level_faults(document: dict[str, Any]) -> Iterator[Fault]:
    tables = (
        "plan",
        "defaults",
        "resources",
        "agents",
        "hosts",
        "services",
        "secrets",
        "groups",
        "group",
        "hooks",
        "pressure",
        "otel",
        "families",
        "tickets",
    )
    hints = Hints((*tables, "vars", "profiles"))
    unknown = [key for key in document if key not in (*tables, "$schema")]
    for key in unknown:
        yield Fault((key,), UNKNOWN_KEY, hint_for_misplaced(key) or hints.of(key))
    if not isinstance(document.get("$schema", ""), str):
        yield Fault(("$schema",), f"expected a string, got {kind(document['$schema'])}")
    # A person who wrote [ticket.A] is told about that key, and not also that there are no tickets.
    if document.get("tickets", {}) == {} and "tickets" not in map(hints.nearest, unknown):
        yield NO_TICKETS


def _read_tables(
    model: type[Struct], tables: object, path: Path, left_out: set[Path]
) -> tuple[dict[str, Any], list[Fault]]:
    """What is right in each of some named tables, and what is wrong in all of them."""
    if not isinstance(tables, dict):
        return {}, [Fault(path, f"expected a table of tables, got {kind(tables)}")]
    good: dict[str, Any] = {}
    faults: list[Fault] = []
    for name, table in tables.items():
        good[name], found = read_fields(model, table, (*path, name), left_out)
        faults += found
    return good, faults
