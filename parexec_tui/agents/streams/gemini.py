"""Gemini CLI: `gemini -o stream-json` (read with 0.61.0)."""

import re
from collections.abc import Iterator

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Event, Fact, fact, table_of, tables_of, text_of, whole_of
from parexec_tui.agents.streams.reader import Exit, Reader, argument_of, plan_of
from parexec_tui.agents.streams.troubles import Trouble, end_of_status

ACTS = {
    "run_shell_command": "run",
    "read_file": "read",
    "read_many_files": "read",
    "list_directory": "read",
    "write_file": "write",
    "replace": "write",
    "glob": "search",
    "search_file_content": "search",
    "grep_search": "search",
    "google_web_search": "search",
    "web_fetch": "fetch",
}

_CODES = {
    41: (ends.AUTH, "no way to log in is chosen"),
    42: (ends.BAD_SETUP, "it does not take what it was given"),
    44: (ends.BAD_SETUP, "its sandbox does not start"),
    52: (ends.BAD_SETUP, "its settings are wrong"),
    53: (ends.BUDGET, "its limit of turns was reached"),
    55: (ends.BAD_SETUP, "it does not trust the folder"),
}
"""Exit codes of its own. After an error of the API its code is the HTTP status & 255."""

_STATUSES = {status & 255: status for status in (401, 402, 403, 429, 500, 502, 503, 504)}

_FAILED = re.compile(r"Attempt (\d+) failed(?: with status (\d{3}))?[:.]\s*(.*)")
_RETRY = re.compile(r"Retrying after (\d+(?:\.\d+)?) ?ms")
_BLOCKED = re.compile(
    r"^Blocked: |not found\. Did you mean|requires? (?:user )?(?:approval|confirmation)", re.IGNORECASE
)


class GeminiReader(Reader):
    """`result` ends a run. A status of success of a tool says nothing: a blocked command has it as well."""

    tells_turns = False
    _text = ""
    _said = ""
    _attempt = 0

    def on_event(self, event: Event) -> Iterator[Fact]:
        kind = text_of(event, "type")
        if kind != "message" and self._text:
            yield self._joined()
        match kind:
            case "init":
                self.session, self.model = text_of(event, "session_id"), text_of(event, "model")
                yield fact("session", id=self.session, model=self.model)
            case "message":
                if text_of(event, "role") == "assistant":
                    yield from self._piece(text_of(event, "content"), is_piece=event.get("delta") is True)
            case "tool_use":
                self.acts += 1
                name, inputs = text_of(event, "tool_name"), table_of(event, "parameters")
                if name == "write_todos":
                    yield plan_of(
                        [
                            (text_of(each, "status"), text_of(each, "description"))
                            for each in tables_of(inputs, "todos")
                        ]
                    )
                else:
                    yield fact(
                        "tool",
                        id=text_of(event, "tool_id"),
                        name=name,
                        does=ACTS.get(name, ""),
                        arg=argument_of(inputs),
                    )
            case "tool_result":
                output = text_of(event, "output")
                is_blocked = _BLOCKED.search(output) is not None
                is_right = text_of(event, "status") == "success" and not is_blocked
                yield fact("tool_end", id=text_of(event, "tool_id"), ok=is_right, text=output)
            case "error":
                self._said = text_of(event, "message")
                yield fact("note", text=self._said)
            case "result":
                self._result(event)
                yield self.usage()
            case _:
                pass

    def _piece(self, piece: str, *, is_piece: bool) -> Iterator[Fact]:
        """Pieces of a message are joined; a line is told when it is whole."""
        if not piece:
            return
        if not self._text:
            self.acts += 1
        self._text += piece
        if not is_piece:
            yield self._joined()
        elif "\n" in self._text:
            whole, self._text = self._text.rsplit("\n", 1)
            yield fact("text", text=whole)

    def _joined(self) -> Fact:
        whole, self._text = self._text, ""
        return fact("text", text=whole)

    def _result(self, event: Event) -> None:
        self.is_over = True
        stats = table_of(event, "stats")
        cached, whole = whole_of(stats, "cached"), whole_of(stats, "input_tokens")
        self.inp = None if whole is None else whole - (cached or 0)
        self.cached, self.out = cached, whole_of(stats, "output_tokens")
        if text_of(event, "status") != "success":
            why = text_of(event, "error", "message") or self._said
            self.trouble = Trouble(self.end_of_words(why) or ends.FAILED, why or "it ended with an error")

    def on_error_line(self, line: str) -> Iterator[Fact]:
        """Its retries are told on standard error only."""
        if found := _FAILED.search(line):
            self._attempt, self._said = int(found[1]), found[3].split(". Retrying")[0]
        if found := _RETRY.search(line):
            status = re.search(r"\b(429|5\d\d)\b", self._said)
            yield fact(
                "retry",
                n=self._attempt or None,
                wait=float(found[1]) / 1000.0,
                why=self._said,
                status=None if status is None else int(status[1]),
            )

    def verdict(self, exit_: Exit) -> Trouble | None:
        trouble = super().verdict(exit_)
        if (
            trouble is None
            or exit_.stopped is not None
            or trouble.end not in (ends.FAILED, ends.CRASHED, ends.BAD_SETUP)
        ):
            return trouble
        if (end := end_of_status(_STATUSES.get(exit_.code))) is not None:
            return Trouble(
                end, trouble.why if self.is_over else f"HTTP status {_STATUSES[exit_.code]}", trouble.until
            )
        if exit_.code in _CODES:
            end, what = _CODES[exit_.code]
            return Trouble(end, f"{what}{self.last_error()}")
        return trouble

    def knows_no_conversation(self) -> bool:
        return not self.acts and any("Invalid session identifier" in line for line in self.errors)
