"""A wrapper of one's own that writes facts itself (`speaks = "facts"`), into the file that PAREXEC_FACTS names."""

from collections.abc import Iterable

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Event, Fact, count_of, fact, figure_of, number_of, text_of
from parexec_tui.agents.streams.reader import Exit, Reader
from parexec_tui.agents.streams.troubles import NO_PATTERNS, Patterns, Trouble


class FactsReader(Reader):
    """Its facts are passed on as they are. Without an `end` among them its exit code tells, as a minder's does.

    It reads answers itself where PAREXEC_ANSWERS says; that it was answered is told here.
    """

    def __init__(self, *, patterns: Patterns = NO_PATTERNS) -> None:
        super().__init__(patterns=patterns)
        self._asked: set[str] = set()

    def on_event(self, event: Event) -> Iterable[Fact]:
        match text_of(event, "fact"):
            case "" | "last_word":
                return ()
            case "ask":
                self._asked.add(text_of(event, "id"))
            case "ask_done":
                if not self.answer(text_of(event, "id"), ""):
                    return ()
            case "session":
                self.session, self.model = text_of(event, "id"), text_of(event, "model")
            case "text" | "tool":
                self.acts += 1
            case "denied":
                self.deny(text_of(event, "tool"), "")
            case "usage":
                self._count(event)
                return (self.usage(),)
            case "end":
                self.is_over = True
                self._count(event)
                end = text_of(event, "end")
                if end != ends.SUCCEEDED:
                    known, why = end if end in ends.ENDS else ends.FAILED, text_of(event, "why")
                    if end not in ends.ENDS:
                        why = f"its end {end!r} is not known{f': {why}' if why else ''}"
                    self.trouble = Trouble(known, why, number_of(event, "until"))
                return ()  # the verdict is told once, at the end of the process
            case _:
                pass
        return (event,)

    def answer(self, question: str, _answer: str, /) -> bool:
        is_asked = question in self._asked
        self._asked.discard(question)
        return is_asked

    def _count(self, event: Event) -> None:
        for name in ("inp", "out", "cached", "turns"):
            if (value := count_of(event, name)) is not None:
                setattr(self, name, value)
        if (cost := figure_of(event, "cost")) is not None:
            self.cost = cost

    def verdict(self, exit_: Exit) -> Trouble | None:
        if exit_.stopped is not None:
            return exit_.stopped
        if not self.is_over:
            end = ends.end_of(exit_.code)
            return None if end == ends.SUCCEEDED else Trouble(end, f"exit code {exit_.code}{self.last_error()}")
        self.acts += 1  # an `end` of its own is word enough
        return super().verdict(exit_)


def told(text: str) -> Fact:
    """What a wrapper prints on its standard output: its log, as it is."""
    return fact("note", text=text)
