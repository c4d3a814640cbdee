"""The form that answers a coding agent."""

from parexec_tui.tui.dialogs.answer import asked_lines


def test_who_says_yes_sees_all_of_what_to() -> None:
    question = f"Bash: {' && '.join(['make test'] * 20)} && rm -rf important"
    lines = asked_lines(question)
    assert all(len(line) <= 70 for line in lines)
    assert " ".join(lines) == question


def test_the_lines_of_a_question_stay_its_lines() -> None:
    assert asked_lines("Bash:\nmake clean\n\n\x1b[31mrm -rf important") == ["Bash:", "make clean", "rm -rf important"]
