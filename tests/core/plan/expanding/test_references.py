"""What `{name}` stands for in a text, and what does not stand for anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.expanding.references import Reference, escaped, fill, parse, references

TEXTS = st.text(st.sampled_from("{}$!q.ab1 '\n"), max_size=20)


@pytest.mark.parametrize(
    ("text", "filled"),
    [
        ("py{py}", "py3.11"),
        ("{py}{py}", "3.113.11"),
        ("{word!q}", "'a b'"),
        ("{{py}}", "{py}"),
        ("awk '{{print}}'", "awk '{print}'"),
        ("f() {{ {{ echo {py}; }} }}", "f() { { echo 3.11; } }"),
        ("if (x) {print $1}}", "if (x) {print $1}}"),
        ("${py} ${py:-x} {1..3} {a,b} {}", "${py} ${py:-x} {1..3} {a,b} {}"),
        ("}} }", "}} }"),
        ("", ""),
    ],
)
def test_names_in_braces_are_filled_in_and_all_else_stays(text: str, filled: str) -> None:
    values = {"py": "3.11", "word": "a b"}
    assert fill(parse(text), lambda each: values[each.name]) == filled


def test_a_name_may_be_a_key_of_a_table() -> None:
    assert [*references(parse("a {item.path!q} b"))] == [Reference("item.path", "q")]
    assert Reference("item.path").base == "item"


@given(TEXTS)
def test_an_escaped_text_is_read_as_it_was(text: str) -> None:
    assert fill(parse(escaped(text)), str) == text


@given(TEXTS)
def test_what_is_filled_in_is_not_read_again(value: str) -> None:
    assert fill(parse("<{x}>"), lambda _: value) == f"<{value}>"
