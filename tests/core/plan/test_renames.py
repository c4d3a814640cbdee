"""Tickets that only got another id."""

from parexec_tui.core.plan.renames import renames

ONE, TWO = ("", "make one", ""), ("", "make two", "")


def test_a_ticket_of_the_same_content_only_got_another_id() -> None:
    assert renames({"a": ONE, "b": TWO}, {"x": ONE, "b": TWO}) == {"a": "x"}


def test_what_is_not_clear_is_no_rename() -> None:
    assert renames({"a": ONE}, {"x": ONE, "y": ONE}) == {}, "either may be it"
    assert renames({"a": ONE, "b": ONE}, {"x": ONE}) == {}
    assert renames({"a": ONE}, {"a": TWO, "x": ONE}) == {}, "its id is still there"
    assert renames({"a": ONE, "x": TWO}, {"x": ONE}) == {}, "both were there at once"
    assert renames({"a": ("", "", "")}, {"x": ("", "", "")}) == {}, "an id is all they have"
