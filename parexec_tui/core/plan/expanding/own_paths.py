"""Paths that are seen from the file of a plan that names them, and not from the workdir."""

import posixpath
from typing import Any

_KEY = "env_file"
_PROGRAM = "program"
_PROMPT = "prompt_file"
_SECRETS = "secrets"
_KEYS_OF_SECRETS = ("file", _KEY)


def has_own_paths(text: str) -> bool:
    """Whether there may be such paths in the text of a plan. Most have none, and the word tells that at once."""
    return any(word in text for word in (_KEY, _SECRETS, _PROGRAM, _PROMPT))


def see_from(document: dict[str, Any], folder: str) -> None:
    """Make such paths of a document absolute, in place: `folder` is that of its file, absolute.

    What is no path is left to those who check it. A path that begins with a variable is left for later.
    """
    tables = [document.get("defaults")]
    for named in ("agents", "services", "tickets"):
        if isinstance(found := document.get(named), dict):
            tables += found.values()
    for table in tables:
        if isinstance(table, dict) and isinstance(listed := table.get(_KEY), list):
            table[_KEY] = [_seen_from(folder, each) for each in listed]
        if isinstance(table, dict) and _PROMPT in table:
            table[_PROMPT] = _seen_from(folder, table[_PROMPT])
    agents = document.get("agents")
    for agent in agents.values() if isinstance(agents, dict) else ():
        if isinstance(agent, dict) and "/" in str(agent.get(_PROGRAM)):  # what has none is looked for in PATH
            agent[_PROGRAM] = _seen_from(folder, agent[_PROGRAM])
    sources = document.get(_SECRETS)
    for source in sources.values() if isinstance(sources, dict) else ():
        for key in _KEYS_OF_SECRETS if isinstance(source, dict) else ():
            if key in source:
                source[key] = _seen_from(folder, source[key])


def _seen_from(folder: str, path: object) -> object:
    if isinstance(path, str) and path not in ("", "?") and not path.startswith("{"):
        return posixpath.join(folder, path)
    return path
