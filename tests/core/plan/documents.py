"""Strategies for plan documents, and their text in the many ways TOML has to write one thing."""

import json
from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

Draw = Callable[[st.SearchStrategy[Any]], Any]

FIELDS = (
    "title", "run", "prompt", "needs", "after", "priority", "agent", "requires", "reads", "writes", "locks", "uses",
    "estimate", "timeout", "retries", "retry_delay", "grace", "env", "cwd", "allow_failure", "expect_codes",
    "retry_on", "min", "max", "can", "command", "nice",
    "matrix", "foreach", "exclude", "include", "id", "max_parallel", "fail_fast",
    "name", "parallel", "on_failure", "barrier", "workdir", "gpu", "cpu", "memory", "A", "b", "neds",
)  # fmt: skip

_WORDS = st.sampled_from(
    [
        "A",
        "B",
        "a",
        "gpu",
        "true",
        "out/**",
        "[x",
        "../..",
        "5m",
        "1GiB",
        "high",
        "stop",
        "docs",
        "",
        "x\0y",
        "{run}",
        "{x}",
        "{v!q}",
        "{{v}}",
        "A-*",
    ]
)
_NUMBERS = st.integers(-2, 3) | st.sampled_from([10**30, -(10**18)]) | st.floats()
SCALARS = _WORDS | _NUMBERS | st.booleans()
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(FIELDS), inner, max_size=3),
    max_leaves=6,
)


_AXES = st.lists(_WORDS, max_size=3) | st.sampled_from(["1..3", "{v}", {"json": "x"}])


def _field(name: str) -> st.SearchStrategy[Any]:
    """Values of a field: often fitting, else anything."""
    texts = st.lists(_WORDS, max_size=3)
    fitting: dict[str, st.SearchStrategy[Any]] = {
        **dict.fromkeys(("after", "requires", "reads", "writes", "locks", "can", "command"), texts),
        **dict.fromkeys(("estimate", "timeout", "retry_delay", "grace"), st.sampled_from(["5s", "1h", 3, 0.5])),
        **dict.fromkeys(("min", "max", "nice", "parallel"), st.integers(0, 4)),
        "needs": st.lists(st.sampled_from(["A", "B", "A?", "C?", "b", ""]), max_size=3),
        "expect_codes": st.lists(st.integers(0, 256), max_size=2),
        "retry_on": st.lists(st.sampled_from(["lost", "signal 9", "timed out", "signal 0", 75, -1]), max_size=2),
        **dict.fromkeys(("matrix", "foreach"), st.dictionaries(st.sampled_from(["x", "y", "v"]), _AXES, max_size=2)),
        **dict.fromkeys(
            ("exclude", "include"), st.lists(st.dictionaries(st.sampled_from(["x", "y", "run"]), _WORDS))
        ),
        "id": st.sampled_from(["A-{x}", "{y}", "B"]),
        "max_parallel": st.integers(0, 3),
        "fail_fast": st.booleans(),
        "priority": st.sampled_from(["high", "low", "medium"]),
        "retries": st.integers(0, 4) | st.dictionaries(st.sampled_from(["failed", "lost", "x"]), st.integers(-1, 2)),
        "on_failure": st.sampled_from(["hold", "stop"]),
        **dict.fromkeys(("barrier", "allow_failure"), st.booleans()),
        "uses": st.dictionaries(st.sampled_from(["gpu", "cpu", "memory"]), st.integers(0, 3), max_size=2),
        "env": st.dictionaries(st.sampled_from(["X", "Y=", ""]), _WORDS, max_size=2),
    }
    return st.one_of(*[fitting.get(name, _WORDS)] * 6, VALUES)


def _table(*names: str) -> st.SearchStrategy[Any]:
    fields = st.fixed_dictionaries({}, optional={name: _field(name) for name in names})
    return st.one_of(*[fields] * 8, VALUES)


_TICKET = _table(*FIELDS[: FIELDS.index("min")], *FIELDS[FIELDS.index("matrix") : FIELDS.index("name")])
_NAMES = st.sampled_from(["A", "B", "C", "a", "x y", "..", "gpu"])

PLANS: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "plan": _table("name", "parallel", "on_failure", "barrier", "workdir"),
        "defaults": _table("run", "timeout", "uses", "env", "needs", "agent", "writes"),
        "resources": _table("gpu", "cpu", "memory"),
        "agents": st.dictionaries(_NAMES, _table("min", "max", "can", "command", "env", "cwd", "nice"), max_size=2),
        "tickets": st.dictionaries(_NAMES, _TICKET, max_size=4) | VALUES,
        "ticket": VALUES,
        "vars": st.dictionaries(st.sampled_from(["v", "w"]), _WORDS | st.lists(_WORDS, max_size=2)) | VALUES,
        "profiles": VALUES,
        "$schema": VALUES,
    },
)
"""Documents that look like plans; few are right."""


@st.composite
def toml_texts(draw: Draw, documents: st.SearchStrategy[dict[str, Any]]) -> str:
    """A document as TOML: headers, dotted keys, inline tables, quoted keys, comments and blanks as it comes."""
    return "".join(_table_text(draw, draw(documents), ()))


def _table_text(draw: Draw, table: dict[str, Any], path: tuple[str, ...]) -> list[str]:
    lines, after = [], []
    for key, value in table.items():
        if isinstance(value, dict) and draw(st.booleans()):
            after += [f"{_blank(draw)}[{_dotted(draw, (*path, key))}]{_end(draw)}"]
            after += _table_text(draw, value, (*path, key))
        elif (
            isinstance(value, list)
            and value
            and all(isinstance(item, dict) for item in value)
            and draw(st.booleans())
        ):
            for item in value:
                after += [f"[[{_dotted(draw, (*path, key))}]]{_end(draw)}", *_table_text(draw, item, (*path, key))]
        else:
            lines += [f"{_blank(draw)}{text}{_end(draw)}" for text in _pairs(draw, (key,), value)]
    return lines + after


def _pairs(draw: Draw, keys: tuple[str, ...], value: Any) -> list[str]:
    if isinstance(value, dict) and value and draw(st.booleans()):
        return [text for key, item in value.items() for text in _pairs(draw, (*keys, key), item)]
    return [f"{_dotted(draw, keys)}{_blank(draw)}={_blank(draw)}{_value(draw, value)}"]


def _value(draw: Draw, value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case float():
            return repr(value)
        case dict():
            pairs = [text for key, item in value.items() for text in _pairs(draw, (key,), item)]
            return f"{{{_blank(draw)}{', '.join(pairs)}{_blank(draw)}}}"
        case list():
            gap = draw(st.sampled_from(["", " ", "\n  ", " # ] a comment, [\n"]))
            return f"[{gap}{f',{gap}'.join(_value(draw, item) for item in value)}{gap}]"
        case str():
            return _string(draw, value)
        case _:
            return str(value)


def _string(draw: Draw, text: str) -> str:
    ways = [_quoted(text)]
    if "\0" not in text:
        ways += [f"'{text}'", f'"""\n{text}"""', f"'''{text}\"\"'''"[:-5] + "'''"]
    return str(draw(st.sampled_from(ways)))


def _dotted(draw: Draw, keys: tuple[str, ...]) -> str:
    dot = draw(st.sampled_from([".", " . "]))
    return str(dot.join(_key(draw, key) for key in keys))


def _key(draw: Draw, key: str) -> str:
    ways = [_quoted(key)]
    if "'" not in key and key.isprintable():
        ways.append(f"'{key}'")
    if key and key.isascii() and key.replace("-", "").replace("_", "").isalnum():
        ways.append(key)
    return str(draw(st.sampled_from(ways)))


def _quoted(text: str) -> str:
    # JSON writes characters beyond the first plane as two escapes, which TOML does not have; DEL as it is.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _blank(draw: Draw) -> str:
    return str(draw(st.sampled_from(["", " ", "\t "])))


def _end(draw: Draw) -> str:
    return str(draw(st.sampled_from(["\n", " \n\n", " # [not.a.header] = 1\n", "\r\n"])))
