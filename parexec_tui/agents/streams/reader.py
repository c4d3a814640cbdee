"""What the readers of all CLIs have in common: lines in, facts out, and the order of the questions at the end."""

import json
from collections.abc import Iterable
from typing import NamedTuple

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Event, Fact, fact, parse_object, text_of
from parexec_tui.agents.streams.troubles import (
    NO_PATTERNS,
    Patterns,
    Search,
    Trouble,
    end_as_taught,
    end_of_words,
    search,
)

LONGEST_LINE = 1_000_000
"""Characters of a line that are parsed. A longer one becomes a note."""

LONGEST_NOTE = 2_000

LONGEST_DENIAL = 120
"""Characters of what a tool was to do."""

ERROR_LINES = 40
"""Lines of standard error that are kept for the verdict."""


class Figures(NamedTuple):
    """Tokens and dollars. None: not known."""

    inp: int | None = None
    out: int | None = None
    cached: int | None = None
    cost: float | None = None


NOTHING_BEFORE = Figures()


class Prices(NamedTuple):
    """US dollars for a million tokens."""

    inp: float
    out: float
    cached: float

    def cost(self, inp: int | None, out: int | None, cached: int | None) -> float | None:
        """Dollars for so many tokens; None if no tokens are known."""
        if inp is None and out is None:
            return None
        return ((inp or 0) * self.inp + (out or 0) * self.out + (cached or 0) * self.cached) / 1e6


class Exit(NamedTuple):
    """How a CLI ended, seen from outside."""

    code: int
    """Its exit code; 128 + the signal if that ended it."""
    now: float
    """The time on the Unix clock."""
    stopped: Trouble | None = None
    """Why we ended it; None: it ended by itself."""


class Reader:
    """Reads what one process of one CLI prints. Its `end` is asked once, when all is read.

    `before`: what the conversation had used when this attempt began, for the CLIs whose figures are of a whole
    conversation. `patterns`: a person's own words for ends.
    """

    lingers = 3.0
    """Seconds that the CLI gets to leave after its last word. Servers that it started may hang; its word counts."""
    tells_turns = True
    """Whether the CLI tells each call of its model; else turns are counted by what it says and does."""
    is_sure = True
    """Whether nothing follows an event that ends a run."""

    def __init__(self, *, before: Figures = NOTHING_BEFORE, patterns: Patterns = NO_PATTERNS) -> None:
        self.before = before
        self.patterns = patterns
        self.search: Search = search
        """How the patterns are looked for."""
        self.session = ""
        self.model = ""
        self.events = 0
        """Objects that were understood as such."""
        self.acts = 0
        """Messages and tools: whether the agent said or did anything."""
        self.denied: list[str] = []
        self.is_over = False
        """Whether the event came that ends a run, of success or not."""
        self.trouble: Trouble | None = None
        """What is wrong, as that event, or one before it, says."""
        self.inp: int | None = None
        self.out: int | None = None
        self.cached: int | None = None
        self.turns: int | None = None
        """Calls of the model."""
        self._is_called = True
        self.cost: float | None = None
        self.prices: Prices | None = None
        """What tokens cost, for a CLI that does not tell what it costs itself."""
        self.errors: list[str] = []
        self.to_send: list[str] = []
        """Lines for the CLI's standard input; whoever drives the reader takes them away."""

    # --- what it prints

    def read(self, line: str) -> list[Fact]:
        """The facts of a line of standard output."""
        if not line.strip():
            return []
        if len(line) > LONGEST_LINE:
            return [_note(f"a line of {len(line)} characters: {line[:200]}")]
        event = parse_object(line)
        if event is None:
            return [_note(line)]
        self.events += 1
        facts = list(self.on_event(event))
        return facts if self.tells_turns else [*facts, *self._count_turns(facts)]

    def _count_turns(self, facts: list[Fact]) -> list[Fact]:
        """What it says or does first, and first after a tool, comes of another call of its model."""
        before = self.turns
        for one in facts:
            match text_of(one, "fact"):
                case "tool_end":
                    self._is_called = True
                case "text" | "thought" | "tool" if self._is_called:
                    self._is_called = False
                    self.turns = (self.turns or 0) + 1
                case _:
                    pass
        return [] if self.turns == before else [self.usage()]

    def read_error(self, line: str) -> list[Fact]:
        """The facts of a line of standard error."""
        if not line.strip():
            return []
        self.errors = [*self.errors[-ERROR_LINES + 1 :], line[:LONGEST_NOTE]]
        return list(self.on_error_line(line[:LONGEST_NOTE]))

    def on_event(self, event: Event) -> Iterable[Fact]:
        raise NotImplementedError

    def on_error_line(self, _line: str) -> Iterable[Fact]:
        return ()

    def deny(self, tool: str, asked: str) -> None:
        """Note that a tool was not allowed to do something."""
        told = asked.strip()
        told = told if len(told) <= LONGEST_DENIAL else f"{told[:LONGEST_DENIAL]} …"
        self.denied.append(f"{tool or 'a tool'}: {told}" if told else tool or "a tool")

    @property
    def denials(self) -> list[str]:
        """What was denied, each once; of a tool alone only if nothing is known of what it was to do."""
        told = list(dict.fromkeys(self.denied))
        return [each for each in told if not any(other.startswith(f"{each}: ") for other in told)]

    # --- what it is told

    def begin(self, prompt: str) -> tuple[str, bool]:
        """What is written to its standard input at first, and whether that is closed then."""
        return prompt, True

    def answer(self, _question: str, _answer: str, /) -> bool:
        """Answer one of its questions (`ask`); false: there is no such question."""
        return False

    # --- the verdict

    def end(self, exit_: Exit) -> Fact:
        """The verdict: success only on a positive end. A ticket's gates come after it."""
        trouble = self._taught(self.verdict(exit_), exit_)
        told = None if self.trouble is None else self.trouble.until
        far = f" (until {told:.0f} is too far ahead to be meant)" if told and told - exit_.now > ends.FARTHEST else ""
        return fact(
            "end",
            end=ends.SUCCEEDED if trouble is None else trouble.end,
            why="" if trouble is None else f"{trouble.why}{far}".strip(),
            until=None if trouble is None else trouble.until,
            session=self.session or None,
            model=self.model or None,
            least=None if self.is_over else True,
            **self.figures(),
        )

    def end_of_words(self, text: str) -> str | None:
        """As the function of this name, with the words that a person taught."""
        return end_of_words(text, self.patterns, self.search)

    def _taught(self, trouble: Trouble | None, exit_: Exit) -> Trouble | None:
        """The same, by the words that a person taught: these go before every other reading of a failure."""
        if trouble is None or not self.patterns or exit_.stopped is not None or trouble.end not in _BY_ITSELF:
            return trouble
        for text in (trouble.why, *reversed(self.errors)):
            if end := end_as_taught(text, self.patterns, self.search):
                own = Trouble(end, text.strip()[:300], trouble.until)
                return own._replace(until=self.until_of(own, exit_.now))
        return trouble

    def verdict(self, exit_: Exit) -> Trouble | None:
        """Why it did not succeed; None: it did. The order of the questions is the same for all CLIs."""
        if exit_.stopped is not None:
            return exit_.stopped
        if not self.is_over:
            return self.without_end(exit_)
        if (trouble := self.trouble) is not None:
            return trouble._replace(until=self.until_of(trouble, exit_.now))
        if self.denied:
            return Trouble(ends.NEEDS_YOU, f"denied: {', '.join(self.denials)}")
        if not self.acts:
            return Trouble(ends.FAILED, "ended without a word or an act")
        if exit_.code:
            return Trouble(ends.FAILED, f"exit code {exit_.code} after its end{self.last_error()}")
        return None

    def without_end(self, exit_: Exit) -> Trouble:
        """The trouble of a CLI that ended without the event that ends a run."""
        if self.events == 0 and exit_.code not in (0, *range(128, 256)):
            said = "\n".join(self.errors)
            end = self.end_of_words(said)
            return Trouble(
                end if end == ends.AUTH else ends.BAD_SETUP, self.last_error().removeprefix(": ") or _of(exit_.code)
            )
        return Trouble(ends.CRASHED, f"ended without its last word, {_of(exit_.code)}{self.last_error()}")

    def until_of(self, trouble: Trouble, now: float) -> float | None:
        if trouble.until is not None and trouble.until - now <= ends.FARTHEST:
            return trouble.until
        if trouble.end not in (ends.LIMITED, ends.UNAVAILABLE):
            return None
        from parexec_tui.agents.resets import reset_of  # brings datetime and zoneinfo along: not for each start

        until = reset_of(trouble.why, now)
        return until if until is not None and until - now <= ends.FARTHEST else None

    def knows_no_conversation(self) -> bool:
        """Whether it ended because it does not know the conversation that it was to go on with."""
        return False

    def has_such_conversation(self) -> bool:
        """Whether it ended because the conversation that it was to begin is there already."""
        return False

    def was_in_the_way(self) -> bool:
        """Whether it ended before its first word because another process of the CLI began at the same time."""
        return False

    def last_error(self) -> str:
        """`: the last line of standard error that says something`; empty if there is none."""
        said = next((line.strip() for line in reversed(self.errors) if _says_something(line)), "")
        return f": {said[:300]}" if said else ""

    # --- figures

    def figures(self) -> dict[str, object]:
        """What this attempt has used so far."""
        told = {"inp": self.inp, "out": self.out, "cached": self.cached, "turns": self.turns}
        if self.cost is not None or self.prices is None:
            return {**told, "cost": self.cost}
        cost = self.prices.cost(self.inp, self.out, self.cached)
        return {**told, "cost": cost, "computed": None if cost is None else True}

    def usage(self) -> Fact:
        return fact("usage", **self.figures())


_BY_ITSELF = (ends.FAILED, ends.CRASHED, ends.BAD_SETUP, ends.AUTH, ends.UNAVAILABLE, ends.LIMITED)
"""Ends that may be read wrongly. The others are about what the agent wanted, or may not."""


def less(whole: int | None, before: int | None) -> int | None:
    """What this attempt added to a figure of the whole conversation."""
    return None if whole is None else max(0, whole - (before or 0))


def argument_of(inputs: Event) -> str:
    """What a tool is asked to do, in one line: the command, the path, the pattern, the address."""
    for name in (
        "command",
        "file_path",
        "filePath",
        "path",
        "notebook_path",
        "pattern",
        "url",
        "query",
        "description",
    ):
        if value := text_of(inputs, name):
            return value
    texts = [f"{name}={value}" for name, value in inputs.items() if isinstance(value, (str, int, float))]
    return " ".join(texts)[:LONGEST_NOTE]


def all_of(inputs: Event) -> str:
    """What a tool is asked to do, and in lines below all else that it is given: for a person who is to allow it."""
    argument = argument_of(inputs)
    lines = [argument] if argument in inputs.values() else []
    for name, value in inputs.items():
        if name != "description" and value not in lines[:1]:
            lines.append(f"{name}: {value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}")
    return "\n".join(lines)


def plan_of(states: list[tuple[str, str]]) -> Fact:
    """The agent's own list of things to do, as (status, what) in its order."""
    now = next((what for status, what in states if status == "in_progress"), None)
    return fact("plan", done=sum(status == "completed" for status, _ in states), of=len(states), now=now)


def _note(line: str) -> Fact:
    return fact("note", text=line[:LONGEST_NOTE])


def _of(code: int) -> str:
    return f"signal {code - 128}" if code > 128 else f"exit code {code}"


def _says_something(line: str) -> bool:
    stripped = line.strip()
    return (
        bool(stripped) and not stripped.startswith(("at ", "0: <", "Stack backtrace")) and "<unknown>" not in stripped
    )
