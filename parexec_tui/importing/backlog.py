"""What all backlogs have in common: things to do, each of which a coding agent is given as a prompt."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from parexec_tui.importing.draft import Draft, literal

AGENT = "claude"


class Item(NamedTuple):
    """One thing to do."""

    key: str
    """What its source calls it."""
    title: str
    prompt: str
    needs: tuple[str, ...] = ()
    """The keys of what must be done before."""
    is_done: bool = False
    left: str = ""
    """Why it is not to be done now: `deferred`; empty: it is."""
    priority: str = ""
    parent: str = ""
    """The key of what it is a part of. What has parts is done when they are, and is no ticket itself."""
    where: str = ""
    """Its place in the source: `tasks.md:12`."""
    note: str = ""
    """What else is said of it in the plan."""


def fill(draft: Draft, items: Iterable[Item]) -> None:
    """Make tickets of what is not done. Done things are needs that are met; what is not to be done now is a ticket
    that is not wanted, and so is what needs it."""
    known: dict[str, Item] = {}
    for item in items:
        if item.key in known:
            draft.leave_out((), f"a second item {item.key}: {item.title}", item.where)
        else:
            known[item.key] = item
    parts: dict[str, list[str]] = {}
    for item in known.values():
        if item.parent in known:
            parts.setdefault(item.parent, []).append(item.key)
    draft.tables["agents"][AGENT] = {"kind": "claude"}
    draft.comment(("agents", AGENT), 'who does it: kind = "codex", "gemini" or "opencode" are others')
    ids: dict[str, str] = {}
    for item in known.values():
        if item.key not in parts and not item.is_done:
            ids[item.key] = draft.fresh_id(item.key)
            draft.tickets[ids[item.key]] = {}
    for key, id_ in ids.items():
        _ticket(draft, known[key], id_, known, parts, ids)
    done = sum(item.is_done and item.key not in parts for item in known.values())
    if done:
        draft.comment((), f"{done} of {len(known) - len(parts)} are done already, and are no tickets.")


def _ticket(
    draft: Draft,
    item: Item,
    id_: str,
    known: Mapping[str, Item],
    parts: Mapping[str, list[str]],
    ids: Mapping[str, str],
) -> None:
    place = ("tickets", id_)
    if id_ != item.key:
        draft.comment(place, f"{item.key} in {item.where.partition(':')[0]}")
    if item.note:
        draft.comment(place, item.note)
    ticket = draft.tickets[id_]
    ticket["title"] = literal(item.title)
    if item.priority:
        ticket["priority"] = item.priority
    needs: dict[str, None] = {}
    for wanted, whose in _wanted(item, known):
        if wanted not in known:
            draft.leave_out(place, f"it needs {wanted}, and there is no such item", whose.where)
            continue
        for leaf in _leaves(wanted, parts):
            if leaf in ids and leaf != item.key:
                needs[ids[leaf]] = None
    if needs:
        ticket["needs"] = list(needs)
    if item.left:
        draft.leave_out(place, f"it is {item.left}: it is not wanted, nor is what needs it", item.where)
        ticket["when"] = "false"
    above = [f"{known[each].title}" for each in reversed(list(_above(item, known)))]
    part_of = f"Part of: {' / '.join(above)}\n\n" if above else ""
    ticket["prompt"] = literal(f"{part_of}{item.prompt.strip() or item.title}\n")


def _wanted(item: Item, known: Mapping[str, Item]) -> Iterable[tuple[str, Item]]:
    """What it needs, and what that needs of which it is a part; with whose need each is."""
    for each in (item, *(known[key] for key in _above(item, known))):
        for need in each.needs:
            yield need, each


def _above(item: Item, known: Mapping[str, Item]) -> Iterable[str]:
    """What it is a part of, from the inside out."""
    seen = {item.key}
    key = item.parent
    while key in known and key not in seen:
        seen.add(key)
        yield key
        key = known[key].parent


def _leaves(key: str, parts: Mapping[str, list[str]], seen: frozenset[str] = frozenset()) -> Iterable[str]:
    """The tickets that something stands for: itself, or all of its parts."""
    if key not in parts or key in seen:
        yield key
        return
    for part in parts[key]:
        yield from _leaves(part, parts, seen | {key})
