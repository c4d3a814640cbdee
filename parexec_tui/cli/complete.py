"""Completions: the engine is asked what may stand next on the command line; without an engine, the registry.

A shell waits for this at every TAB, so nothing slow is imported, and errors are never shown.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from parexec_tui.core.state.status import COUNTED, GROUPS, Flag

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

_TIMEOUT = 0.5
"""Seconds that an engine has to answer: a person is typing."""

_MAX_READ = 100_000
"""Tickets of a plan file that are looked at."""

_MAX_NAMES = 500
"""The most names of each kind that are read from the registry, as from an engine."""

_KEYS = ("status", "agent", "type", "host", "priority")

PRIORITIES = ("critical", "high", "medium", "low")
"""The names of `core.plan.ticket.Priority`, which is slow to import."""


def tickets(context: click.Context, _: click.Parameter, word: str) -> "list[CompletionItem]":
    """Ids of tickets; after a key, its values."""
    if ":" in word:
        return _items(word, _values(context, word))
    return _items(
        word, (*_names(context, word)["tickets"], *_begun(context, word)), given=context.params.get("tickets")
    )


def tickets_of_plan(context: click.Context, parameter: click.Parameter, word: str) -> "list[CompletionItem]":
    """Ids of the tickets of the plan file that the command line names; after a key, its values."""
    try:
        # Behind an option that has no value yet, click has not told arguments from another.
        plan = _tables(context.params.get("plan_file") or Path(context.args[0]))
    except Exception:
        return []
    key, colon, _ = word.partition(":")
    if colon:
        values = {"type": plan.get("agents") or ("agent",), "priority": PRIORITIES}.get(key, ())
        return _items(word, (f"{key}:{value}" for value in values))
    given = context.params.get(parameter.name or "")
    return _items(word, list(plan.get("tickets", ()))[:_MAX_READ], given=given)


def _tables(file: Path) -> dict[str, Any]:
    """The tables of a plan file, unchecked."""
    from parexec_tui.client.plan_files import is_stream, syntax_of

    if is_stream(file):
        return {}
    text = file.read_text(encoding="utf-8")
    if syntax_of(file, text) == "json":
        import json

        return dict(json.loads(text))
    import tomli

    return dict(tomli.loads(text))


def unapproved(context: click.Context, parameter: click.Parameter, word: str) -> "list[CompletionItem]":
    """Ids of tickets that wait for approval; if none does, or nobody knows, of all tickets."""
    return _of_status(context, parameter, word, "approval")


def needing_you(context: click.Context, parameter: click.Parameter, word: str) -> "list[CompletionItem]":
    """The same of those whose coding agents need a word of a person."""
    return _of_status(context, parameter, word, "needs you")


def in_conflict(context: click.Context, parameter: click.Parameter, word: str) -> "list[CompletionItem]":
    """The same of those whose conflict a person has to decide on."""
    return _of_status(context, parameter, word, "conflict")


def _of_status(context: click.Context, parameter: click.Parameter, word: str, status: str) -> "list[CompletionItem]":
    waiting = () if ":" in word else _with_status(context, status)
    if any(id_.startswith(word) for id_ in waiting):
        return _items(word, waiting, given=context.params.get("tickets"))
    return tickets(context, parameter, word)


def anything(context: click.Context, _: click.Parameter, word: str) -> "list[CompletionItem]":
    """Tickets, agents and agent types; hosts have `host:` before them."""
    if ":" in word:
        return _items(word, _values(context, word))
    found = _names(context, word)
    names = (name for kind in ("tickets", "agents", "types", "services") for name in found.get(kind, ()))
    return _items(word, dict.fromkeys((*names, *_begun(context, word))))


def tickets_and_classes(context: click.Context, parameter: click.Parameter, word: str) -> "list[CompletionItem]":
    """Tickets and priority classes. Only the end of the line tells which of the two a word is."""
    return [*tickets(context, parameter, word), *_items(word, PRIORITIES)]


def commands_and_topics(context: click.Context, _: click.Parameter, word: str) -> "list[CompletionItem]":
    """The commands beside this one, then the pages."""
    from parexec_tui.cli.topics import topics

    assert context.parent is not None
    above = context.parent.command
    verbs = above.list_commands(context.parent) if isinstance(above, click.Group) else ()
    return _items(word, (*verbs, *topics()))


def agents_and_types(context: click.Context, _: click.Parameter, word: str) -> "list[CompletionItem]":
    found = _names(context, word)
    return _items(word, (*found["agents"], *found["types"]))


def agents_types_and_hosts(context: click.Context, _: click.Parameter, word: str) -> "list[CompletionItem]":
    found = _names(context, word)
    return _items(word, (*found["agents"], *found["types"], *_hosts(context, word)))


def types_and_hosts(context: click.Context, _: click.Parameter, word: str) -> "list[CompletionItem]":
    return _items(word, (*_names(context, word)["types"], *_hosts(context, word)))


def _hosts(context: click.Context, word: str) -> list[str]:
    """The hosts, as verbs take them."""
    key, _, beginning = word.partition(":")
    return _values(context, f"host:{beginning}") if "host".startswith(key) else []


def services(context: click.Context, _: click.Parameter, word: str) -> "list[CompletionItem]":
    return _items(word, _names(context, word).get("services", ()), given=context.params.get("services"))


def sessions(_: click.Context, __: click.Parameter, word: str) -> "list[CompletionItem]":
    """Ids of sessions, with the names of their plans."""
    try:
        from click.shell_completion import CompletionItem

        from parexec_tui.client.sessions import all_sessions
        from parexec_tui.text.words import printable

        return [
            CompletionItem(row.session, help=f"{printable(row.name)}, {row.status}")
            for row in all_sessions()[0]
            if row.session.startswith(word)
        ]
    except Exception:
        return []


def sessions_and_tickets(context: click.Context, parameter: click.Parameter, word: str) -> "list[CompletionItem]":
    """Tickets, then sessions: only the end of the line tells which of the two a word is."""
    return [*tickets(context, parameter, word), *sessions(context, parameter, word)]


def _begun(context: click.Context, word: str) -> list[str]:
    """The selectors whose key begins with this word, of two letters at least: `st` is on the way to `status:`."""
    keys = [key for key in _KEYS if len(word) > 1 and key.startswith(word)]
    return [value for key in keys for value in _values(context, f"{key}:")]


def _values(context: click.Context, word: str) -> list[str]:
    """The selectors (`status:failed`) that a key and the beginning of a value can become."""
    key, _, beginning = word.partition(":")
    match key:
        case "status":
            values: Iterable[str] = dict.fromkeys((*COUNTED, *Flag, *GROUPS))
        case "priority":
            values = PRIORITIES
        case "agent" | "type" | "host" | "ticket":
            values = _names(context, beginning)[f"{key}s"]
        case _:
            values = ()
    return [f"{key}:{value}" for value in values]


def _items(word: str, names: Iterable[str], given: Iterable[str] | None = None) -> "list[CompletionItem]":
    from click.shell_completion import CompletionItem

    already = set(given or ())
    return [CompletionItem(name) for name in names if name.startswith(word) and name not in already]


def _names(context: click.Context, word: str) -> dict[str, list[str]]:
    """The tickets, agents, agent types and hosts that begin with this word; none if there is no session."""
    found: dict[str, list[str]] = {"tickets": [], "agents": [], "types": [], "hosts": []}
    try:
        from parexec_tui.client.sessions import is_living, resolve_here

        session = resolve_here(context.params.get("session")).session
        return found | ((is_living(session) and _ask(session, word)) or _read(session, word))
    except Exception:
        return found


def _ask(session: str, word: str) -> dict[str, list[str]]:
    """What the engine says; empty if it does not answer in time."""
    from parexec_tui.client.blocking import Client
    from parexec_tui.client.framing import ClientError

    try:
        with Client.connect(session, timeout=_TIMEOUT, read_only=True) as client:
            names: dict[str, list[str]] = client.question("names", words=[word])
            return names
    except ClientError:
        return {}


def _with_status(context: click.Context, status: str) -> Iterable[str]:
    try:
        from parexec_tui.client.blocking import Client
        from parexec_tui.client.sessions import is_living, resolve_here

        session = resolve_here(context.params.get("session")).session
        if not is_living(session):
            return ()
        with Client.connect(session, timeout=_TIMEOUT, read_only=True) as client:
            found: dict[str, list[str]] = client.question("select", words=[f"status:{status}"])
        return found["tickets"]
    except Exception:
        return ()


def _read(session: str, word: str) -> dict[str, list[str]]:
    """What the registry has."""
    from parexec_tui.client.sessions import open_registry
    from parexec_tui.registry.names import names

    with open_registry() as registry:
        found = names(registry, session)
    return {
        kind: [name for name in getattr(found, kind) if name.startswith(word)][:_MAX_NAMES]
        for kind in ("tickets", "agents", "types", "hosts")
    }
