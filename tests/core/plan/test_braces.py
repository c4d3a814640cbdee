"""Braces in which something is filled in when a ticket starts, and those in which nothing is."""

from hypothesis import example, given
from hypothesis import strategies as st

from parexec_tui.core.plan.braces import braced, dead, fill_braces, settled

TEXTS = st.lists(st.sampled_from(["{", "}", "$", "a.b", "c", " ", "!q"]), max_size=12).map("".join)


def known(name: str) -> bool:
    return name in ("a.b", "a.b!q", "c")


def filled(text: str) -> str:
    return fill_braces(text, known, lambda name: f"<{name}>")


@given(TEXTS)
def test_nothing_is_filled_in_between_dead_braces(text: str) -> None:
    assert filled(settled(dead(text), known)) == text


@given(TEXTS, st.sampled_from(["a.b", "c"]), TEXTS)
@example("$", "c", "")
@example("{", "c", "}")
def test_only_what_is_alive_is_filled_in(before: str, name: str, after: str) -> None:
    text = f"{dead(before)} {{{name}}}{dead(after)}"
    assert filled(settled(text, known)) == f"{before} <{name}>{after}"


@given(TEXTS, TEXTS)
def test_a_name_stands_between_dead_braces_too(before: str, after: str) -> None:
    if not before.endswith("$"):
        text = f"{dead(before)}{{c}}{dead(after)}"
        assert filled(settled(text, known)) == f"{before}<c>{after}"


@given(TEXTS)
def test_what_would_be_filled_in_is_told(text: str) -> None:
    assert (filled(text) != text) == any(known(name) for name, _ in braced(text))
