"""Names in braces that are filled in when a ticket starts: `{split.count}`, `{port}`.

`{{name}}` is the name in braces, where `{name}` would be filled in; all other braces stay, and `${name}` is the
shell's.
"""

import re
from collections.abc import Callable, Iterator

DEAD_OPEN, DEAD_CLOSE = "\ufdd0", "\ufdd1"
"""Stand for braces that fill in nothing, whatever is between them, until `settled`; they are no characters."""

_NAME = r"([A-Za-z0-9_][A-Za-z0-9_.-]*(?:![a-z]+)?)"
_BRACED = re.compile(r"(\$?)(\{+)" + _NAME + r"(\}+)")
_MARKED = re.compile(r"(\$?)([{\ufdd0]+)" + _NAME + r"([}\ufdd1]+)")
_AS_BRACES = str.maketrans({DEAD_OPEN: "{", DEAD_CLOSE: "}"})
_AS_DEAD = str.maketrans({"{": DEAD_OPEN, "}": DEAD_CLOSE})

IsKnown = Callable[[str], bool]
"""Whether a name is filled in, `count!q` and the like included."""


def fill_braces(text: str, is_known: IsKnown, value_of: Callable[[str], str]) -> str:
    """The text with the names filled in that are known."""

    def filled(found: re.Match[str]) -> str:
        before, opening, name, closing = found.groups()
        if (pairs := _pairs(found)) < 1 or not is_known(name):
            return found[0]
        literal, is_filled = divmod(pairs, 2)
        middle = value_of(name) if is_filled else name
        return f"{before}{opening[pairs:]}{'{' * literal}{middle}{'}' * literal}{closing[pairs:]}"

    return _BRACED.sub(filled, text) if "{" in text else text


def braced(text: str) -> Iterator[tuple[str, bool]]:
    """The names in braces, and whether they would be filled in: not those in double ones."""
    for found in _BRACED.finditer(text) if "{" in text else ():
        if (pairs := _pairs(found)) > 0:
            yield found[3], pairs % 2 == 1


def dead(text: str) -> str:
    """A text in whose braces nothing is filled in, once they are `settled`."""
    return text.translate(_AS_DEAD) if "{" in text or "}" in text else text


def has_dead_name(text: str) -> bool:
    """Whether a text has a name in dead braces, so that it matters what is known."""
    return DEAD_OPEN in text and _MARKED.search(text) is not None


def settled(text: str, is_known: IsKnown) -> str:
    """A text with dead braces as `fill_braces` has to read it: in them, the names that are known are doubled."""
    if DEAD_OPEN not in text and DEAD_CLOSE not in text:
        return text

    def kept(found: re.Match[str]) -> str:
        before, opening, name, closing = found.groups()
        if (pairs := _pairs(found)) < 1 or not is_known(name):
            return found[0]
        more = pairs - 1 if opening[-1] == "{" and closing[0] == "}" else pairs
        return f"{before}{'{' * (len(opening) + more)}{name}{'}' * (len(closing) + more)}"

    return _MARKED.sub(kept, text).translate(_AS_BRACES)


def _pairs(found: re.Match[str]) -> int:
    """The pairs of braces around a name; that of `${name}` is none."""
    return min(len(found[2]) - len(found[1]), len(found[4]))
