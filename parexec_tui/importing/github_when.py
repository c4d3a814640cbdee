"""The `if` of a job of GitHub's workflows as the `when` of a ticket."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from parexec_tui.importing.github_condition import ConditionReader, Token, Unsaid

_RESULT = re.compile(r"needs\.([\w-]+)\.result").fullmatch
_RESULTS: Final = {
    "success": ("succeeded", "waived", "allowed failure"),
    "failure": ("failed", "timed out", "out of memory", "could not start", "lost"),
    "cancelled": ("cancelled",),
    "skipped": ("skipped", "not wanted"),
}
"""{a result of a job: the statuses of a ticket that it stands for}"""

_AFTER_ALL: Final = frozenset(("always", "failure", "cancelled"))
"""Functions that let a job run after others that did not succeed."""


class When(NamedTuple):
    """When a job is run."""

    when: str
    """Empty: whenever its turn comes."""
    is_after: bool
    """Whether its turn comes whatever became of what it needs."""


def when_of(source: str, needs: Sequence[str], env: Mapping[str, str], can_tell: Callable[[str], bool]) -> When:
    """What an `if` says. `env`: variables whose values are known; `can_tell`: whether a job becomes one ticket, which
    can say how it ended. Raises Unsaid."""
    reader = _WhenReader(source, needs, env, can_tell)
    said = reader.read()
    when = {"True": "", "False": "false"}.get(str(said), str(said))
    return When(when, reader.is_after)


class _WhenReader(ConditionReader):
    """Puts a condition into the language of `when`."""

    functions = _AFTER_ALL | {"success"}

    def __init__(
        self, source: str, needs: Sequence[str], env: Mapping[str, str], can_tell: Callable[[str], bool]
    ) -> None:
        super().__init__(source)
        self.is_after = any(kind == "word" and word in _AFTER_ALL for kind, word in self.tokens)
        self._needs, self._env, self._can_tell = needs, env, can_tell

    def joined(self, parts: Sequence[str], *, by_or: bool) -> str:
        return f"({(' or ' if by_or else ' and ').join(parts)})"

    def negated(self, part: str) -> str:
        return f"not {part}"

    def called(self, name: str) -> bool | str:
        match name:
            case "always":
                return True
            case "cancelled":
                return False
            case "success" if not self.is_after:
                return True
            case _:
                return self.combined([self._ended(need, name) for need in self._needs], by_or=name == "failure")

    def equal(self, left: Token, right: Token) -> bool | str:
        for one, other in ((left, right), (right, left)):
            if one.kind == "word" and (found := _RESULT(one.says)):
                return self._ended(found[1], self._known(other))
        return self._known(left).lower() == self._known(right).lower()

    def is_true(self, value: Token) -> bool:
        return self._known(value) not in ("", "false", "0")

    def _ended(self, job: str, result: str) -> str:
        if job not in self._needs or not self._can_tell(job) or result not in _RESULTS:
            raise Unsaid
        statuses = _RESULTS[result]
        if len(statuses) == 1:
            return f"({job}.status == '{statuses[0]}')"
        return f"({job}.status in [{', '.join(map(repr, statuses))}])"

    def _known(self, token: Token) -> str:
        kind, text = token
        if kind in ("text", "number") or (kind == "word" and text in ("true", "false")):
            return text
        if kind == "word" and text == "runner.os":
            return "Linux"
        context, _, name = text.partition(".")
        if kind == "word" and context == "env" and name in self._env:
            return self._env[name]
        raise Unsaid
