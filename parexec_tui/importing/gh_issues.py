"""Issues of GitHub, as `gh issue list --state all --json number,title,body,labels,state` prints them."""

import json
import re
from typing import Any, Final

from parexec_tui.importing.backlog import Item, fill
from parexec_tui.importing.draft import Draft, ImportFault
from parexec_tui.importing.formats import Wanted

_NEEDS = re.compile(
    r"^[^\w\n]*(?:depends|dependent|blocked|waits?)\s+(?:on|by|for)\b(.*)$", re.IGNORECASE | re.MULTILINE
)
_FENCED = re.compile(r"^(```|~~~).*?^\1", re.DOTALL | re.MULTILINE)
_ELSEWHERE = re.compile(r"[\w.-]+/[\w.-]+#\d+")
_NUMBER = re.compile(r"(?<![\w/])#(\d+)\b")
_PRIORITY = re.compile(r"^(?:p|prio|priority)[\s:/_-]*(\d|critical|urgent|high|medium|low)$", re.IGNORECASE)
_PRIORITIES: Final = {
    "0": "critical",
    "critical": "critical",
    "urgent": "critical",
    "1": "high",
    "high": "high",
    "3": "low",
    "4": "low",
    "low": "low",
}


def read(wanted: Wanted) -> Draft:
    """The plan of issues in a file; `parts`: numbers of issues, without one all that are open. Raises ImportFault."""
    file = wanted.source
    try:
        issues = json.loads(file.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError) as error:
        raise ImportFault(str(file), str(error)) from error
    if not isinstance(issues, list) or not all(isinstance(each, dict) and "number" in each for each in issues):
        what = "it is no list of issues: gh issue list --state all --json number,title,body,labels,state,url"
        raise ImportFault(str(file), what)
    draft = Draft(f"Imported from {file.name} by `parexec import gh`.")
    draft.set_workdir(file.parent, wanted.folder)
    items = [_item(each, file.name, draft) for each in issues]
    if wanted.parts:
        asked = {part.removeprefix("#") for part in wanted.parts}
        if unknown := asked - {item.key for item in items}:
            raise ImportFault(str(file), f"it has no issue {', '.join(sorted(unknown))}")
        items = [item if item.key in asked else item._replace(is_done=True) for item in items]
    fill(draft, items)
    return draft


def _item(issue: dict[str, Any], name: str, draft: Draft) -> Item:
    key, where = str(issue["number"]), f"{name}: issue {issue['number']}"
    body = str(issue.get("body") or "")
    state = str(issue.get("state", "OPEN")).upper()
    if state not in ("OPEN", "CLOSED", "MERGED"):
        draft.leave_out((), f"the state {state!r} is not known: it counts as open", where)
    blocked_by = issue.get("blockedBy") or ()
    if isinstance(blocked_by, dict):
        blocked_by = blocked_by.get("nodes") or ()
    needs = [str(each["number"]) if isinstance(each, dict) and "number" in each else str(each) for each in blocked_by]
    for line in _NEEDS.findall(_FENCED.sub("", body)):
        needs += _NUMBER.findall(line)
        for other in _ELSEWHERE.findall(line):
            draft.leave_out((), f"issue {key} waits for {other}, which is of another repository", where)
    words = [str(each.get("name", "")) if isinstance(each, dict) else str(each) for each in issue.get("labels") or ()]
    found = next((match[1].lower() for word in words if (match := _PRIORITY.match(word.strip()))), "")
    url = f"\n\n{issue['url']}" if issue.get("url") else ""
    return Item(
        key,
        str(issue.get("title") or key),
        f"{issue.get('title', '')} (issue #{key})\n\n{body}{url}",
        tuple(dict.fromkeys(each for each in needs if each != key)),
        state != "OPEN" and state in ("CLOSED", "MERGED"),
        "",
        _PRIORITIES.get(found, ""),
        "",
        where,
    )
