"""OpenCode: `opencode run --format json` (read with 1.18.33)."""

from collections.abc import Iterator

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Event, Fact, fact, number_of, table_of, tables_of, text_of, whole_of
from parexec_tui.agents.streams.reader import Exit, Reader, argument_of, plan_of
from parexec_tui.agents.streams.troubles import Trouble, end_of_status

ACTS = {
    "bash": "run",
    "read": "read",
    "list": "read",
    "write": "write",
    "edit": "write",
    "patch": "write",
    "multiedit": "write",
    "grep": "search",
    "glob": "search",
    "websearch": "search",
    "webfetch": "fetch",
    "task": "delegate",
}

_NOT_OVER = ("tool-calls", "unknown")
"""Reasons of a last step after which more was to come: `tool-calls` stands there when a call was rejected."""


_RACES = ("Failed query: ", "database is locked")


class OpencodeReader(Reader):
    """No event ends a run: the last step does, if its reason is `stop` and no error came after it."""

    lingers = 8.0
    is_sure = False
    _reason = ""
    _knows_cost = False

    def on_event(self, event: Event) -> Iterator[Fact]:
        part = table_of(event, "part")
        if not self.session and (session := text_of(event, "sessionID")):
            self.session = session
            yield fact("session", id=session)
        match text_of(event, "type"):
            case "step_start":
                self._reason = ""
                self.is_over = False
            case "text":
                if said := text_of(part, "text"):
                    self.acts += 1
                    yield fact("text", text=said)
            case "reasoning":
                yield fact("thought", text=text_of(part, "text"))
            case "tool_use":
                yield from self._tool(part)
            case "step_finish":
                self._finish(part)
                yield self.usage()
            case "error":
                self.is_over = True
                self.trouble = self._trouble_of(table_of(event, "error"))
            case _:
                pass

    def _tool(self, part: Event) -> Iterator[Fact]:
        """A tool is told of when it is over."""
        self.acts += 1
        name, state, id_ = text_of(part, "tool"), table_of(part, "state"), text_of(part, "callID")
        inputs, error = table_of(state, "input"), text_of(state, "error")
        if name == "todowrite":
            yield plan_of(
                [(text_of(each, "status"), text_of(each, "content")) for each in tables_of(inputs, "todos")]
            )
            return
        yield fact("tool", id=id_, name=name, does=ACTS.get(name, ""), arg=argument_of(inputs))
        is_right = text_of(state, "status") == "completed" and name != "invalid"
        code = whole_of(state, "metadata", "exit")
        yield fact("tool_end", id=id_, ok=is_right and not code, text=error or text_of(state, "output"), code=code)
        if "rejected permission" in error:
            self.deny(name, argument_of(inputs))
            yield fact("denied", tool=name, text=error)

    def _finish(self, part: Event) -> None:
        self._reason = text_of(part, "reason")
        self.is_over = self._reason not in ("", *_NOT_OVER)
        tokens = table_of(part, "tokens")
        self.inp = _sum(self.inp, whole_of(tokens, "input"), whole_of(tokens, "cache", "write"))
        self.out = _sum(self.out, whole_of(tokens, "output"), whole_of(tokens, "reasoning"))
        self.cached = _sum(self.cached, whole_of(tokens, "cache", "read"))
        self.turns = (self.turns or 0) + 1
        cost = number_of(part, "cost")
        if cost is not None and (cost > 0 or self._knows_cost):  # 0 is what it says of a model without a price
            self._knows_cost = True
            self.cost = (self.cost or 0.0) + cost

    def _trouble_of(self, error: Event) -> Trouble:
        said = text_of(error, "data", "message") or text_of(error, "message") or text_of(error, "name")
        status = number_of(error, "data", "statusCode")
        end = end_of_status(status) if status is not None else self.end_of_words(said)
        if text_of(error, "name") == "ProviderAuthError":
            end = ends.AUTH
        return Trouble(end or ends.FAILED, said or "it ended with an error")

    def verdict(self, exit_: Exit) -> Trouble | None:
        trouble = super().verdict(exit_)
        if trouble is None and self._reason != "stop":
            return Trouble(ends.FAILED, f"it ended because of {self._reason}")
        return trouble

    def without_end(self, exit_: Exit) -> Trouble:
        if self._reason in _NOT_OVER and exit_.code == 0:
            if self.denied:
                return Trouble(ends.NEEDS_YOU, f"denied: {', '.join(self.denials)}")
            return Trouble(ends.FAILED, "it ended in the midst of its tools")
        if self.events == 0 and exit_.code == 1:
            said = " ".join(self.errors)
            end = ends.AUTH if self.end_of_words(said) == ends.AUTH else ends.BAD_SETUP
            return Trouble(end, self.last_error().removeprefix(": ") or "exit code 1 before its first word")
        return super().without_end(exit_)

    def was_in_the_way(self) -> bool:
        """Those that start first on a machine make the same database."""
        return not self.events and any(each in line for line in self.errors for each in _RACES)

    def knows_no_conversation(self) -> bool:
        said = f"{' '.join(self.errors)} {self.trouble.why if self.trouble is not None else ''}".lower()
        return not self.acts and ("session not found" in said or "resource not found" in said)


def _sum(before: int | None, *more: int | None) -> int | None:
    known = [each for each in (before, *more) if each is not None]
    return sum(known) if known else None
