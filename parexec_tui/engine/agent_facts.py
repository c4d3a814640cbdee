"""A file of facts, read as it grows: what is to be remembered of a coding agent, and what it does now.

No trio here: it is read where no engine runs, too.
"""

import os

from msgspec import structs

from parexec_tui.agents.facts import (
    Fact,
    choices_of,
    count_of,
    decode,
    figure_of,
    number_of,
    text_of,
    whole_of,
)
from parexec_tui.core.state.one_line import one_line
from parexec_tui.core.state.process_key import ProcessKey
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import Doing, Progress, Usage

_MOST = 1 << 20
"""Bytes of a file that are read at once."""

_LONGEST = 200
"""Characters of what an agent is said to do now."""

_MOST_DENIED = 5

_LONGEST_QUESTION = 64 << 10
"""Characters of a question: who says yes has to see what to."""

_VERBS = {"read": "reads", "write": "writes", "search": "searches", "fetch": "fetches", "delegate": "delegates"}


class Followed:
    """One file of facts, and what is known from it so far."""

    def __init__(self, key: ProcessKey, path: str) -> None:
        self.key = key
        self.path = path
        self.doing = Doing()
        self.said = rq.AgentSaid(key.ticket, key.attempt, step=key.step)
        self.is_over = False
        """Whether it told how it ended."""
        self._offset = 0
        self._rest = b""

    def read(self) -> bool:
        """Read what is new, up to a MiB; whether something that is remembered has changed. Raises OSError."""
        descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(descriptor, _MOST, self._offset)
        finally:
            os.close(descriptor)
        self._offset += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        before = self.said
        for line in lines:
            one = decode(line.decode("utf-8", "replace"))
            if one is not None:
                self.said, self.doing = said_with(self.said, one), doing_with(self.doing, one)
                self.is_over = self.is_over or text_of(one, "fact") == "end"
        if self.said.question:  # of several that wait, the one that is to be answered
            self.doing = structs.replace(self.doing, what=f"asks: {_brief(self.said.asks)}")
        return self.said != before

    def read_all(self) -> None:
        """Read to its end. Raises OSError."""
        offset = -1
        while self._offset > offset:
            offset = self._offset
            self.read()


def said_with(said: rq.AgentSaid, one: Fact) -> rq.AgentSaid:
    """What is to be remembered, with one more fact."""
    match text_of(one, "fact"):
        case "session":
            return structs.replace(
                said,
                conversation=text_of(one, "id"),
                model=text_of(one, "model"),
                version=text_of(one, "version"),
                mode=text_of(one, "mode"),
            )
        case "text" | "tool" if not said.speaks:
            return structs.replace(said, speaks=True)
        case "ask":
            what = _question(text_of(one, "what"))
            question = rq.Question(said.asked + 1, text_of(one, "id"), what, choices_of(one))
            if question.id in (said.question, *(each.id for each in said.later)):
                return said  # it is told again while it waits
            said = structs.replace(said, asked=question.number)
            return structs.replace(said, later=(*said.later, question)) if said.question else _asking(said, question)
        case "ask_done":
            left = tuple(each for each in said.later if each.id != text_of(one, "id"))
            if text_of(one, "id") not in ("", said.question):
                return structs.replace(said, later=left)
            first, *others = left or (rq.Question(0, "", ""),)
            return structs.replace(_asking(said, first), later=tuple(others))
        case _:
            return said


def _asking(said: rq.AgentSaid, question: rq.Question) -> rq.AgentSaid:
    return structs.replace(
        said, question=question.id, asks=question.what, choices=question.choices, number=question.number
    )


def _question(text: str) -> str:
    """A question as a person reads it, who is told if that is not all of it."""
    return text if len(text) <= _LONGEST_QUESTION else f"{text[:_LONGEST_QUESTION]} (cut: parexec log --raw has it)"


def _brief(text: str) -> str:
    line = one_line(text[: _LONGEST + 1])
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


def doing_with(doing: Doing, one: Fact) -> Doing:
    """What an agent does now, with one more fact."""
    at = number_of(one, "at") or 0.0
    doing = structs.replace(doing, heard=at)
    match text_of(one, "fact"):
        case "tool":
            arg = _brief(text_of(one, "arg"))
            does = text_of(one, "does")
            what = f"$ {arg}" if does == "run" else f"{_VERBS.get(does, text_of(one, 'name'))} {arg}"
            return structs.replace(doing, what=what.rstrip(), since=at)
        case "tool_end" | "thought" | "text":
            return structs.replace(doing, what="thinks", since=at)
        case "retry":
            number, of, status = whole_of(one, "n"), whole_of(one, "of"), whole_of(one, "status")
            which = f" {number}" + (f"/{of}" if of else "") if number else ""
            why = str(status) if status else text_of(one, "why")[:40]
            return structs.replace(doing, what=f"retry{which}{f': {why}' if why else ''}", since=at)
        case "ask":
            return structs.replace(doing, what=f"asks: {_brief(text_of(one, 'what'))}", since=at)
        case "denied" if len(doing.denied) < _MOST_DENIED:
            tool, why = text_of(one, "tool") or "a tool", _brief(text_of(one, "text"))
            denied = f"{tool}{': ' if why else ''}{why}"[:_LONGEST]
            return structs.replace(doing, denied=tuple(dict.fromkeys((*doing.denied, denied))))
        case "plan":
            return structs.replace(doing, done=whole_of(one, "done"), of=whole_of(one, "of"))
        case "last_word":
            return structs.replace(doing, what="ends", since=at)
        case "usage" | "end":
            figures = {name: count_of(one, name) for name in ("inp", "out", "cached", "turns")}
            known = {name: value for name, value in figures.items() if value is not None}
            cost = figure_of(one, "cost")
            return structs.replace(doing, **known, cost=doing.cost if cost is None else cost)
        case _:
            return doing


def usage_with(usage: Usage, doing: Doing, now: float) -> Usage:
    """What an attempt uses, with what its agent does: silent since something was heard of it, and as far as its own
    plan says. What its log looks like is no progress of its: its tools print there too."""
    progress = None
    if doing.done is not None and doing.of:
        done = min(doing.done, doing.of)
        progress = Progress(percent=100 * done // doing.of, done=done, total=doing.of)
    silence = max(0.0, now - doing.heard) if doing.heard else usage.silence
    return structs.replace(usage, doing=doing, progress=progress, silence=silence)
