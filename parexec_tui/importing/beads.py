"""beads: the issues of an issues.jsonl."""

import json
from typing import Any, Final

from parexec_tui.importing.backlog import Item, fill
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, file_of

_NAMES: Final = (".beads/issues.jsonl", ".beads/beads.jsonl", "issues.jsonl", "beads.jsonl")
_OPEN: Final = frozenset(("open", "in_progress", "blocked", "hooked", "pinned", ""))
_DONE: Final = frozenset(("closed",))
_PRIORITIES: Final = ("critical", "high", "", "low", "low")
"""By priority there: 0 is the highest."""

_WAITS: Final = "blocks"
_PARENT: Final = "parent-child"
_NO_ORDER: Final = frozenset(("related", "relates-to", "discovered-from", "duplicates", "supersedes", "replies-to"))


def read(wanted: Wanted) -> Draft:
    """The plan of the issues; `parts`: ids of issues, of which only these and their parts are taken. Raises
    ImportFault."""
    file = file_of(wanted.source, _NAMES)
    draft = Draft(f"Imported from {file.name} by `parexec import beads`.")
    root = file.parent.parent if file.parent.name == ".beads" else file.parent
    draft.set_workdir(root, wanted.folder)
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise ImportFault(str(file), str(error)) from error
    items = []
    for number, line in enumerate(lines, 1):
        if line.strip():
            where = f"{file.name}:{number}"
            try:
                issue = json.loads(line)
            except ValueError as error:
                raise ImportFault(where, f"it is no JSON: {error}") from error
            if not isinstance(issue, dict) or not issue.get("id"):
                draft.leave_out((), "what is no issue", where)
            elif issue.get("status") != "tombstone" and not issue.get("deleted_at"):
                items.append(_item(issue, where, draft))
    if wanted.parts:
        items = _some(items, wanted.parts, str(file))
    fill(draft, items)
    return draft


def _item(issue: dict[str, Any], where: str, draft: Draft) -> Item:
    status = str(issue.get("status", ""))
    left = "deferred" if status == "deferred" else ""
    if status not in _OPEN | _DONE and not left:
        draft.leave_out((), f"the status {status!r} of {issue['id']} is not known: it counts as open", where)
    needs, parent = [], ""
    for each in issue.get("dependencies") or ():
        kind, on = str(each.get("type", _WAITS)), str(each.get("depends_on_id", ""))
        if kind == _PARENT:
            parent = on
        elif kind == _WAITS:
            needs.append(on)
        elif kind not in _NO_ORDER:
            draft.leave_out(
                (), f"{issue['id']} depends on {on} by {kind!r}, which says nothing of an order here", where
            )
    texts = [("", "description"), ("Design:\n", "design"), ("Acceptance criteria:\n", "acceptance_criteria")]
    parts = [f"{title}{issue[name]}" for title, name in (*texts, ("Notes:\n", "notes")) if issue.get(name)]
    parts += [
        f"Comment: {each['text']}"
        for each in issue.get("comments") or ()
        if isinstance(each, dict) and each.get("text")
    ]
    text = "\n\n".join(parts)
    priority = issue.get("priority")
    return Item(
        str(issue["id"]),
        str(issue.get("title") or issue["id"]),
        f"{issue.get('title', '')}\n\n{text}",
        tuple(needs),
        status in _DONE,
        left,
        _PRIORITIES[priority] if isinstance(priority, int) and 0 <= priority < len(_PRIORITIES) else "",
        parent,
        where,
        "in progress there" if status == "in_progress" else "",
    )


def _some(items: list[Item], parts: tuple[str, ...], where: str) -> list[Item]:
    """These, what they are made of, and as needs all that is done."""
    by_key = {item.key: item for item in items}
    for part in parts:
        if part not in by_key:
            raise ImportFault(where, f"it has no issue {part!r}")

    def is_wanted(item: Item) -> bool:
        key, seen = item.key, set[str]()
        while key in by_key and key not in seen:
            if key in parts:
                return True
            seen.add(key)
            key = by_key[key].parent
        return False

    return [item if is_wanted(item) else item._replace(is_done=True) for item in items]
