"""What an attempt is told: the prompt, and what happened before. Pure; nothing here is read by a shell."""

from collections.abc import Sequence
from typing import NamedTuple

LAST_LINES = 60
"""Lines of an output that an agent is shown."""

LONGEST_OUTPUT = 12_000
"""Characters of it."""


class Earlier(NamedTuple):
    """How an earlier attempt ended."""

    attempt: int
    end: str
    """In words: `failed: the gate unit ended with exit code 1`."""
    output: str = ""
    """The last of what the gate that failed, or the command, printed."""
    conflict: str = ""
    """What its work conflicted with."""
    kept: str = ""
    """The commit of what it had changed, if its folder does not have that any more."""
    gone: str | None = None
    """Where the folder is in which it worked, if there is a new one in its place; empty: nobody has it. None: it is
    the same folder."""


class Told(NamedTuple):
    """What a person says to an attempt."""

    note: str = ""
    answer: str = ""
    """To what the agent asked, or was not allowed."""


NOTHING_TOLD = Told()


def prompt_of(prompt: str, earlier: Sequence[Earlier] = (), told: Told = NOTHING_TOLD) -> str:
    """What a new conversation begins with: the prompt, what earlier attempts came to, and what a person says."""
    parts = [prompt.rstrip()]
    if earlier:
        parts.append(
            "## Earlier attempts\n\nThis was tried before, in conversations that you do not know. What was done then "
            "may be in the folder: look at that first."
        )
        parts += [_about(each, is_last=each is earlier[-1]) for each in earlier[-3:]]
    return _joined([*parts, *_said(told)])


def prompt_going_on(earlier: Earlier | None, told: Told = NOTHING_TOLD) -> str:
    """What a conversation that goes on is told: only what is new."""
    parts = [] if earlier is None else [_about(earlier, is_last=True, is_same=True)]
    return _joined([*parts, *_said(told), "Go on with the task."])


def _about(earlier: Earlier, *, is_last: bool, is_same: bool = False) -> str:
    lines = [f"{'The attempt' if is_same else f'Attempt {earlier.attempt}'} ended: {earlier.end}."]
    if not is_last:
        return lines[0]
    if earlier.conflict:
        lines.append(f"What it did conflicts with what was merged meanwhile:\n\n{_fenced(earlier.conflict)}")
        if is_same:
            lines.append("The folder has what was merged by now: make your own changes again, on top of that.")
    if earlier.output.strip():
        lines.append(f"The last of the output:\n\n{_fenced(earlier.output)}")
    if earlier.kept and f"git show {earlier.kept[:12]}" not in earlier.conflict:
        lines.append(f"The folder does not have what it had changed: see `git show {earlier.kept}`.")
    if earlier.gone is not None:
        where = f": that is in {earlier.gone}" if earlier.gone else ""
        lines.append(
            "The folder is a new one. It has what was merged, and nothing else of what the attempt had changed"
            f"{where}. Look at it, and do again what is missing."
        )
    return "\n\n".join(lines)


def _said(told: Told) -> list[str]:
    answer = [f"The person in charge answers: {told.answer.strip()}"] if told.answer.strip() else []
    note = [f"A note from the person in charge: {told.note.strip()}"] if told.note.strip() else []
    return [*answer, *note]


def _fenced(text: str) -> str:
    """A text as a block of code, whose fence is longer than any in it."""
    lines = text.rstrip().split("\n")[-LAST_LINES:]
    shown = "\n".join(lines)[-LONGEST_OUTPUT:]
    fence = "```"
    while fence in shown:
        fence += "`"
    return f"{fence}\n{shown}\n{fence}"


def _joined(parts: Sequence[str]) -> str:
    return "\n\n".join(part for part in parts if part) + "\n"
