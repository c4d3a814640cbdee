"""Taskwarrior: what `task export` prints."""

import json
from typing import Any, Final

from parexec_tui.importing.backlog import Item, fill
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted

_PRIORITIES: Final = {"H": "high", "M": "", "L": "low"}
_OPEN: Final = frozenset(("pending", "recurring", "waiting"))


def read(wanted: Wanted) -> Draft:
    """The plan of an export; `parts`: projects, without one all. Raises ImportFault."""
    file = wanted.source
    try:
        tasks = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ImportFault(str(file), str(error)) from error
    if not isinstance(tasks, list) or not all(isinstance(each, dict) and "uuid" in each for each in tasks):
        raise ImportFault(str(file), "it is no export of Taskwarrior: task export > FILE")
    draft = Draft(f"Imported from {file.name} by `parexec import taskwarrior`.")
    draft.set_workdir(file.parent, wanted.folder)
    items = [_item(each, file.name, draft) for each in tasks if each.get("status") != "deleted"]
    if wanted.parts:
        projects = {_short(each["uuid"]): str(each.get("project", "")) for each in tasks}
        named = tuple(f"{part}." for part in wanted.parts)
        items = [
            item
            if projects[item.key] in wanted.parts or projects[item.key].startswith(named)
            else item._replace(is_done=True)
            for item in items
        ]
    fill(draft, items)
    return draft


def _item(task: dict[str, Any], name: str, draft: Draft) -> Item:
    key = _short(task["uuid"])
    where, status = f"{name}: task {key}", str(task.get("status", "pending"))
    if status not in _OPEN | {"completed"}:
        draft.leave_out((), f"the status {status!r} is not known: it counts as pending", where)
    depends = task.get("depends") or ()
    wanted = depends.split(",") if isinstance(depends, str) else depends
    title = str(task.get("description") or key)
    said = [str(each.get("description", "")) for each in task.get("annotations") or () if isinstance(each, dict)]
    about = [f"{word}: {task[word]}" for word in ("project", "due") if task.get(word)]
    return Item(
        key,
        title,
        "\n\n".join([title, *said]),
        tuple(_short(each) for each in wanted),
        status == "completed",
        "waiting there" if status == "waiting" else "a task that recurs" if status == "recurring" else "",
        _PRIORITIES.get(str(task.get("priority", "")), ""),
        "",
        where,
        ", ".join(about),
    )


def _short(uuid: object) -> str:
    """As Taskwarrior shows it: numbers change with each task that is done."""
    return str(uuid).partition("-")[0]
