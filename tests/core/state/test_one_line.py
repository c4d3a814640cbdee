"""Texts of others on one line: nothing of them is out of sight."""

import pytest

from parexec_tui.core.state.one_line import one_line, question_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("echo hello\nrm -rf ~/x\n", "echo hello ⏎ rm -rf ~/x"),
        ("\n  echo\r\n\n\trm", "echo ⏎ rm"),
        ("\x1b[2J\x1b[31mhidden\r; rm\x7f", "␛[2J␛[31mhidden␍; rm␡"),
        ("a\u202ecba\u200b", "a<U+202E>cba<U+200B>"),
        ("grün ✓", "grün ✓"),
    ],
)
def test_lines_end_in_a_sign_and_control_characters_are_seen(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_a_long_question_says_that_it_is_longer() -> None:
    assert question_line("a\nb") == "a ⏎ b"
    assert question_line("x" * 2000) == f"{'x' * 300} … (2000 characters)"
