"""The pattern by which a ticket says how its output tells how far it is: `epoch {n}/{m}`, `{percent}% {step}`.

It is no regular expression: one that is written without care could keep the engine busy for ever.
"""

import re
from functools import lru_cache

OFF = "off"
"""Instead of a pattern: the output tells nothing, whatever it looks like."""

_MAX_LENGTH = 200

_STEP = r"(?P<step>\S.{0,79}?)"
_LAST_STEP = r"(?P<step>\S.{0,199})"
_PLACEHOLDERS = {
    "percent": r"(?P<percent>[0-9]{1,3})(?:\.[0-9]{1,9})?",
    "n": r"(?P<n>[0-9]{1,15})",
    "m": r"(?P<m>[0-9]{1,15})",
    "step": _STEP,
}
_KNOWN = "there are {percent}, {n}, {m} and {step}"


@lru_cache(maxsize=256)
def progress_regex(pattern: str) -> re.Pattern[str]:
    """What is searched for in a line. Its groups are the placeholders. Raises ValueError, saying what is wrong.

    A blank stands for any white space.
    """
    if len(pattern) > _MAX_LENGTH:
        raise ValueError(f"it is longer than {_MAX_LENGTH} characters")
    literals, names = re.split(r"\{\w*\}", pattern), re.findall(r"\{(\w*)\}", pattern)
    for name in names:
        if name not in _PLACEHOLDERS:
            raise ValueError(f"{{{name}}} is no placeholder: {_KNOWN}")
        if names.count(name) > 1:
            raise ValueError(f"{{{name}}} stands in it twice")
    if "percent" not in names and not {"n", "m"} <= {*names}:
        raise ValueError("it has neither {percent} nor {n} and {m}")
    parts = [_literal(literals[0])]
    for name, literal in zip(names, literals[1:], strict=True):
        parts += [_PLACEHOLDERS[name], _literal(literal)]
    if names[-1] == "step" and not literals[-1].strip():
        parts[-2:] = [_LAST_STEP]
    # A number is not the end of a longer one.
    begin = "(?<![0-9.])" if not literals[0] and names[0] != "step" else ""
    return re.compile(begin + "".join(parts))


def _literal(text: str) -> str:
    # Never with fewer blanks than there are: a line of words and blanks would be tried in each way to part them.
    return r"\s++".join(map(re.escape, re.split(r"\s+", text)))
