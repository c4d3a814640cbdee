"""Task Master: the tasks of a tasks.json, with their subtasks."""

import json
from collections.abc import Iterator
from typing import Any, Final

from parexec_tui.importing.backlog import Item, fill
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted, file_of

_NAMES: Final = (".taskmaster/tasks/tasks.json", "tasks/tasks.json", "tasks.json")
_OPEN: Final = frozenset(("pending", "in-progress", "review", "blocked", ""))
_LEFT: Final = frozenset(("deferred", "cancelled"))
_PRIORITIES: Final = {"critical": "critical", "high": "high", "medium": "", "low": "low"}


def read(wanted: Wanted) -> Draft:
    """The plan of a tasks.json. `parts`: tags; without one `master`, or the only one. Raises ImportFault."""
    file = file_of(wanted.source, _NAMES)
    try:
        document = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ImportFault(str(file), str(error)) from error
    lists = _lists(document, str(file))
    tags = wanted.parts or (("master",) if "master" in lists else tuple(lists))
    if len(tags) > 1 and not wanted.parts:
        raise ImportFault(str(file), f"it has several tags: name one or more of {', '.join(lists)}")
    draft = Draft(f"Imported from {file.name} by `parexec import task-master`.")
    draft.set_workdir(_root(file, wanted), wanted.folder)
    items: list[Item] = []
    for tag in tags:
        if tag not in lists:
            raise ImportFault(str(file), f"it has no tag {tag!r}: there is {', '.join(lists)}")
        prefix = "" if len(tags) == 1 else f"{tag}-"
        for task in lists[tag]:
            items += _items(task, prefix, file.name, draft)
    fill(draft, items)
    return draft


def _root(file: Any, wanted: Wanted) -> Any:
    """The folder of the project."""
    parents = {".taskmaster": 3, "tasks": 2}
    for name, depth in parents.items():
        if name in file.parts[-3:-1]:
            return file.parents[depth - 1]
    return wanted.source if wanted.source.is_dir() else file.parent


def _lists(document: Any, where: str) -> dict[str, list[Any]]:
    """The tasks by tag. A file of before there were tags has one list."""
    if isinstance(document, dict):
        if isinstance(document.get("tasks"), list):
            return {"master": document["tasks"]}
        lists = {
            str(tag): each["tasks"]
            for tag, each in document.items()
            if isinstance(each, dict) and isinstance(each.get("tasks"), list)
        }
        if lists:
            return lists
    raise ImportFault(where, "it has no tasks of Task Master")


def _items(
    task: Any, prefix: str, name: str, draft: Draft, parent: str = "", siblings: frozenset[str] = frozenset()
) -> Iterator[Item]:
    if not isinstance(task, dict) or "id" not in task:
        draft.leave_out((), f"what is no task: {json.dumps(task)[:80]}", name)
        return
    own = str(task["id"])
    plain = own if not parent or own.startswith(f"{parent}.") else f"{parent}.{own}"
    where = f"{name}: task {plain}"
    status = str(task.get("status", "")).strip().lower()
    if status not in _OPEN | _LEFT | {"done", "completed"}:
        draft.leave_out((), f"the status {status!r} is not known: it counts as pending", where)
    priority = str(task.get("priority", "")).lower()
    if priority not in {"", *_PRIORITIES}:
        draft.leave_out((), f"the priority {priority!r} is not known", where)
    texts = (task.get("description"), task.get("details"))
    text = "\n\n".join(str(each) for each in texts if each)
    if task.get("testStrategy"):
        text += f"\n\nHow to test it: {task['testStrategy']}"
    yield Item(
        f"{prefix}{plain}",
        str(task.get("title") or plain),
        f"{task.get('title', '')}\n\n{text}",
        tuple(f"{prefix}{_key(each, parent, siblings)}" for each in task.get("dependencies") or ()),
        status in ("done", "completed"),
        status if status in _LEFT else "",
        _PRIORITIES.get(priority, ""),
        f"{prefix}{parent}" if parent else "",
        where,
        "in progress there" if status == "in-progress" else "",
    )
    subtasks = task.get("subtasks") or ()
    below = frozenset(str(each["id"]) for each in subtasks if isinstance(each, dict) and "id" in each)
    for each in subtasks:
        yield from _items(each, prefix, name, draft, plain, below)


def _key(dependency: object, parent: str, siblings: frozenset[str]) -> str:
    """In a subtask, the number of another subtask of the same task means that; any other is a task, as with a dot."""
    text = str(dependency)
    return f"{parent}.{text}" if parent and text in siblings else text
