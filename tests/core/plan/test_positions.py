"""Every key that a parser finds has a position, and the key is what stands there."""

import json
import re
from collections.abc import Iterator
from itertools import count
from typing import Any

import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.reading.faults import Path
from parexec_tui.core.plan.reading.positions import positions, repeated_keys
from tests.core.plan.documents import toml_texts

TRICKY = """\
# [not.here]
title = \"\"\"
[nor.here]
a = 1 \\\"\"\" \"\"\"\"\"
path = 'C:\\'
when = [1979-05-27 07:32:00Z, 1979-05-27] # ] and ,
"a.b" . 'c d'.e = { x = [1, {y = "}"}], "\\u0041" = ''']''' }
[ tickets . "MOD-1" ]
needs = [
  "A", # the first
  "B",
]
[[list]]
k = 1
[[list]]
k = 2
[list.sub]
z = 3
[[list.deep]]
[[list.deep]]
w.v = 4
"""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        (("title",), (2, 1)),
        (("path",), (5, 1)),
        (("when", 1), (6, 31)),
        (("a.b",), (7, 1)),
        (("a.b", "c d"), (7, 9)),
        (("a.b", "c d", "e"), (7, 15)),
        (("a.b", "c d", "e", "x", 1, "y"), (7, 30)),
        (("a.b", "c d", "e", "A"), (7, 41)),
        (("tickets",), (8, 3)),
        (("tickets", "MOD-1"), (8, 13)),
        (("tickets", "MOD-1", "needs", 1), (11, 3)),
        (("list",), (13, 3)),
        (("list", 0), (13, 1)),
        (("list", 0, "k"), (14, 1)),
        (("list", 1, "k"), (16, 1)),
        (("list", 1, "sub", "z"), (18, 1)),
        (("list", 1, "deep", 1, "w", "v"), (21, 3)),
    ],
)
def test_toml_has_many_ways_to_write_a_key(path: Path, place: tuple[int, int]) -> None:
    assert positions(TRICKY, "toml")[path] == place


def test_the_tricky_text_has_no_other_keys() -> None:
    assert set(positions(TRICKY, "toml")) == set(_paths(tomli.loads(TRICKY)))


def test_lines_may_end_as_on_windows() -> None:
    assert positions("a = 1\r\n[b]\r\nc = [1,\r\n 2]\r\n", "toml") == {
        ("a",): (1, 1),
        ("b",): (2, 2),
        ("b", "c"): (3, 1),
        ("b", "c", 0): (3, 6),
        ("b", "c", 1): (4, 2),
    }


def test_only_what_is_wanted_is_kept() -> None:
    assert positions("a.b = 1\nc = 2", "toml", {("c",)}) == {("c",): (2, 1)}


def test_a_deep_text_is_no_trouble() -> None:
    depth = 5000
    text = '{"a": ' + "[" * depth + "]" * depth + "}"

    assert positions(text, "json", {("a",)}) == {("a",): (1, 2)}


def test_a_scalar_has_no_keys() -> None:
    assert positions("3", "json") == {}


def test_keys_that_stand_twice_in_an_object_are_found() -> None:
    assert repeated_keys('{"a": {"b": 1, "b": 2}, "c": [{"b": 1}, {"b": 1}], "a": 3}') == [("a", "b"), ("a",)]


KEYS = st.text(max_size=6) | st.sampled_from(
    ["a", "b", "a-b", "1", "x.y", "'", '"', "\\", "", "[", "#", "é", "=", " "]
)


def _documents(keys: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """Documents whose leaves are None, to be numbered."""
    leaves = st.none()
    values = st.recursive(
        leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=12
    )
    return st.dictionaries(keys, values, max_size=5).map(lambda document: _numbered(document, count(1000)))


def _numbered(value: Any, numbers: Iterator[int]) -> Any:
    """Each leaf becomes a number of its own, so that the text at a position tells which leaf it is."""
    if isinstance(value, dict):
        return {key: _numbered(item, numbers) for key, item in value.items()}
    if isinstance(value, list):
        return [_numbered(item, numbers) for item in value]
    return next(numbers)


@given(toml_texts(_documents(KEYS)))
def test_every_key_of_a_toml_text_has_the_position_where_it_stands(text: str) -> None:
    document = tomli.loads(text)
    found = positions(text, "toml")

    assert set(found) == set(_paths(document))
    for path, place in found.items():
        _check_text(_at(text, place), path, document, lambda key: next(iter(tomli.loads(f"{key} = 1"))))


@given(_documents(KEYS | st.text()), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_every_key_of_a_json_text_has_the_position_where_it_stands(
    document: dict[str, Any], indent: int | str | None, ascii_only: bool
) -> None:
    text = json.dumps(document, indent=indent, ensure_ascii=ascii_only)
    found = positions(text, "json")

    assert set(found) == set(_paths(document))
    for path, place in found.items():
        _check_text(_at(text, place), path, document, json.loads)


def _paths(value: Any, path: Path = ()) -> Iterator[Path]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield (*path, key)
        yield from _paths(item, (*path, key))


def _at(text: str, place: tuple[int, int]) -> str:
    line, column = place
    return "\n".join(text.split("\n")[line - 1 :])[column - 1 :]


def _check_text(text: str, path: Path, document: Any, read_key: Any) -> None:
    key = path[-1]
    if isinstance(key, str):
        match = re.match(r"\"(?:\\.|[^\"\\])*\"|'[^']*'|[A-Za-z0-9_-]+", text)
        assert match is not None
        assert read_key(match[0]) == key
        return
    value = document
    for step in path:
        value = value[step]
    expected = ("[[", "{") if isinstance(value, dict) else ("[",) if isinstance(value, list) else (str(value),)
    assert text.startswith(expected)
