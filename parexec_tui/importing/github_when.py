"""The `if` of a job of GitHub's workflows as the `when` of a ticket."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

from parexec_tui.importing.github_terms import Unsaid, inside, tokens

_RESULT = re.compile(r"needs\.([\w-]+)\.result").fullmatch
_RESULTS: Final = {
    "success": ("succeeded", "waived", "allowed failure"),
    "failure": ("failed", "timed out", "out of memory", "could not start", "lost"),
    "cancelled": ("cancelled",),
    "skipped": ("skipped", "not wanted"),
}
"""{a result of a job: the statuses of a ticket that it stands for}"""

_AFTER_ALL: Final = {"always", "failure", "cancelled"}
"""Functions that let a job run after others that did not succeed."""

_FUNCTIONS: Final = _AFTER_ALL | {"success"}


class When(NamedTuple):
    """When a job is run."""

    when: str
    """Empty: whenever its turn comes."""
    is_after: bool
    """Whether its turn comes whatever became of what it needs."""


def when_of(source: str, needs: Sequence[str], env: Mapping[str, str], can_tell: Callable[[str], bool]) -> When:
    """What an `if` says. `env`: variables whose values are known; `can_tell`: whether a job becomes one ticket, which
    can say how it ended. Raises Unsaid."""
    reading = _Reading(tokens(inside(source)), needs, env, can_tell)
    said = reading.any_of()
    if reading.tokens:
        raise Unsaid
    when = {"True": "", "False": "false"}.get(str(said), str(said))
    return When(when, reading.is_after)


class _Reading:
    def __init__(
        self,
        found: list[tuple[str, str]],
        needs: Sequence[str],
        env: Mapping[str, str],
        can_tell: Callable[[str], bool],
    ) -> None:
        self.tokens = found
        self.is_after = any(kind == "word" and word in _AFTER_ALL for kind, word in found)
        self._needs, self._env, self._can_tell = needs, env, can_tell

    def _takes(self, op: str) -> bool:
        if self.tokens and self.tokens[0] == ("op", op):
            self.tokens.pop(0)
            return True
        return False

    def any_of(self) -> bool | str:
        parts = [self._all_of()]
        while self._takes("||"):
            parts.append(self._all_of())
        return _joined(parts, decides=True)

    def _all_of(self) -> bool | str:
        parts = [self._one()]
        while self._takes("&&"):
            parts.append(self._one())
        return _joined(parts, decides=False)

    def _one(self) -> bool | str:
        if self._takes("!"):
            said = self._one()
            return not said if isinstance(said, bool) else f"not {said}"
        if self._takes("("):
            said = self.any_of()
            if not self._takes(")"):
                raise Unsaid
            return said
        match self.tokens[:3]:
            case [("word", name), ("op", "("), ("op", ")")] if name in _FUNCTIONS:
                del self.tokens[:3]
                return self._function(name)
        kind, left = self.tokens.pop(0) if self.tokens else ("", "")
        for op in ("==", "!="):
            if self._takes(op):
                other, right = self.tokens.pop(0) if self.tokens else ("", "")
                is_equal = self._compared((kind, left), (other, right))
                return is_equal if op == "==" else not is_equal if isinstance(is_equal, bool) else f"not {is_equal}"
        return self._known(kind, left) not in ("", "false", "0")

    def _function(self, name: str) -> bool | str:
        match name:
            case "always":
                return True
            case "cancelled":
                return False
            case "success" if not self.is_after:
                return True
            case _:
                parts = [self._ended(need, name) for need in self._needs]
                return _joined(parts, decides=name == "failure")

    def _compared(self, left: tuple[str, str], right: tuple[str, str]) -> bool | str:
        for (kind, word), other in ((left, right), (right, left)):
            if kind == "word" and (found := _RESULT(word)):
                return self._ended(found[1], self._known(*other))
        return self._known(*left).lower() == self._known(*right).lower()

    def _ended(self, job: str, result: str) -> str:
        if job not in self._needs or not self._can_tell(job) or result not in _RESULTS:
            raise Unsaid
        statuses = _RESULTS[result]
        if len(statuses) == 1:
            return f"({job}.status == '{statuses[0]}')"
        return f"({job}.status in [{', '.join(map(repr, statuses))}])"

    def _known(self, kind: str, word: str) -> str:
        if kind == "text":
            return word.replace("''", "'")
        if kind == "number" or word in ("true", "false"):
            return word
        if word == "runner.os":
            return "Linux"
        context, _, name = word.partition(".")
        if kind == "word" and context == "env" and name in self._env:
            return self._env[name]
        raise Unsaid


def _joined(parts: Sequence[bool | str], *, decides: bool) -> bool | str:
    """Parts joined by `or`, of which one that is true decides, or by `and`, of which one that is false does."""
    if decides in parts:
        return decides
    said = [part for part in parts if isinstance(part, str)]
    if not said:
        return not decides
    return said[0] if len(said) == 1 else f"({(' or ' if decides else ' and ').join(said)})"
