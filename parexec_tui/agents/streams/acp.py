"""The Agent Client Protocol, version 1: JSON-RPC 2.0 over the agent's standard input and output.

For agents without a reader of their own. A client needs few of its messages: `initialize`, `session/new` or
`session/load`, `session/set_mode`, `session/prompt`, and the answer to `session/request_permission`. In this protocol
an agent whose provider refused all of its requests may end its turn like one that succeeded: so `end_turn` counts
only where something was said or done, and what was said does not read like an error of the provider.
"""

import json
from collections.abc import Iterator

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Event, Fact, fact, number_of, table_of, tables_of, text_of, value_of, whole_of
from parexec_tui.agents.streams.reader import NOTHING_BEFORE, Exit, Figures, Reader, all_of, argument_of, plan_of
from parexec_tui.agents.streams.troubles import NO_PATTERNS, Patterns, Trouble

PROTOCOL = 1

_INITIALIZE, _SESSION, _PROMPT, _MODE = 1, 2, 3, 4
"""The ids of our requests."""

_NO_METHOD = -32601
_AUTH_NEEDED = -32000

_ACTS = {
    "execute": "run",
    "read": "read",
    "edit": "write",
    "delete": "write",
    "move": "write",
    "search": "search",
    "fetch": "fetch",
}

_KINDS = {"rate_limit": ends.LIMITED, "usageLimitExceeded": ends.LIMITED, "unauthorized": ends.AUTH}
"""What some agents say in the data of an error."""

_SHORT = 400
"""Characters: a text that reads like an error of the provider, and is no longer than this, is one."""

_WARNINGS = "Warning: "
"""How Codex begins what is no word of the agent."""

_EMPTY = "returned an empty response"
"""What goose says for an agent that said nothing."""


class AcpReader(Reader):
    """The client's side of one conversation and one prompt.

    `mode`: the mode to set, by what `permissions` asks for, the first of those that the agent has. `allows`: what a
    question for permission is answered with; None: a person is asked.
    """

    tells_turns = False

    def __init__(
        self,
        *,
        folder: str,
        conversation: str = "",
        modes: tuple[str, ...] = (),
        allows: bool | None = False,
        before: Figures = NOTHING_BEFORE,
        patterns: Patterns = NO_PATTERNS,
    ) -> None:
        super().__init__(before=before, patterns=patterns)
        self._folder = folder
        self._conversation = conversation
        self._modes = modes
        self._allows = allows
        self._prompt = ""
        self._is_asked = False
        """Whether the prompt was sent: what comes before it is history, which is not told again."""
        self._text = ""
        self._said = ""
        """What it said so far, up to a length: an error of the provider may stand there as if the agent said it."""
        self._tools_done = 0
        self._tools: set[str] = set()
        self._questions: dict[str, tuple[object, list[Event]]] = {}
        self._is_unknown = False
        self._version = ""

    def begin(self, prompt: str) -> tuple[str, bool]:
        self._prompt = prompt
        capabilities = {"fs": {"readTextFile": False, "writeTextFile": False}, "terminal": False}
        self._request(_INITIALIZE, "initialize", protocolVersion=PROTOCOL, clientCapabilities=capabilities)
        return self._taken(), False

    # --- what it says

    def on_event(self, event: Event) -> Iterator[Fact]:
        method = text_of(event, "method")
        if method == "session/update":
            if self._is_asked:
                yield from self._update(table_of(event, "params", "update"))
        elif method == "session/request_permission":
            yield from self._permission(event)
        elif method:
            if "id" in event:
                error = {"code": _NO_METHOD, "message": f"{method} is not offered"}
                self._send({"id": event["id"], "error": error})
        elif "id" in event:
            yield from self._answered(whole_of(event, "id"), event)

    def _answered(self, id_: int | None, event: Event) -> Iterator[Fact]:
        result, error = table_of(event, "result"), table_of(event, "error")
        match id_:
            case _ if error and id_ != _MODE:
                yield from self._end_of_text()
                if id_ == _SESSION and self._conversation and not _is_of_auth(error):
                    self._is_unknown = True
                self.is_over, self.trouble = True, self._trouble_of(error)
            case 1:  # _INITIALIZE
                info = table_of(result, "agentInfo")
                self._version = " ".join(filter(None, (text_of(info, "name"), text_of(info, "version"))))
                can_load = value_of(result, "agentCapabilities", "loadSession") is True
                where = {"cwd": self._folder, "mcpServers": []}
                if self._conversation and can_load:
                    self._request(_SESSION, "session/load", sessionId=self._conversation, **where)
                elif self._conversation:
                    self._is_unknown = self.is_over = True
                    self.trouble = Trouble(ends.BAD_SETUP, "this agent cannot go on with a conversation")
                else:
                    self._request(_SESSION, "session/new", **where)
            case 2:  # _SESSION
                yield from self._opened(result)
            case 3:  # _PROMPT
                yield from self._end_of_text()
                yield from self._turn_ended(result)
            case _:
                pass

    def _opened(self, result: Event) -> Iterator[Fact]:
        self.session = text_of(result, "sessionId") or self._conversation
        self.model = text_of(result, "models", "currentModelId")
        offered = {text_of(each, "id") for each in tables_of(result, "modes", "availableModes")}
        mode = next((each for each in self._modes if each in offered), "")
        if mode:
            self._request(_MODE, "session/set_mode", sessionId=self.session, modeId=mode)
        said = [{"type": "text", "text": self._prompt}]
        self._request(_PROMPT, "session/prompt", sessionId=self.session, prompt=said)
        self._is_asked = True
        yield fact("session", id=self.session, model=self.model or None, version=self._version, mode=mode or None)

    def _update(self, update: Event) -> Iterator[Fact]:
        kind = text_of(update, "sessionUpdate")
        if kind == "agent_message_chunk":
            yield from self._piece(text_of(update, "content", "text"))
            return
        if kind in ("tool_call", "tool_call_update", "plan", "agent_thought_chunk"):
            yield from self._end_of_text()
        match kind:
            case "tool_call" | "tool_call_update":
                yield from self._tool(update)
            case "plan":
                entries = tables_of(update, "entries")
                yield plan_of([(text_of(each, "status"), text_of(each, "content")) for each in entries])
            case "usage_update":
                cost = number_of(update, "cost", "amount")
                if cost is not None and text_of(update, "cost", "currency") in ("", "USD"):
                    self.cost = max(0.0, cost - (self.before.cost or 0.0))
                    yield self.usage()
            case _:
                pass

    def _piece(self, piece: str) -> Iterator[Fact]:
        if not piece:
            return
        self._text += piece
        if "\n" in self._text:
            whole, rest = self._text.rsplit("\n", 1)
            if whole.strip():
                yield self._told(whole)
            self._text = rest

    def _end_of_text(self) -> Iterator[Fact]:
        whole, self._text = self._text, ""
        if whole.strip():
            yield self._told(whole)

    def _told(self, text: str) -> Fact:
        if not text.startswith(_WARNINGS):
            self.acts += 1
            self._said = f"{self._said} {text}".strip()[: 2 * _SHORT]
        return fact("text", text=text)

    def _tool(self, update: Event) -> Iterator[Fact]:
        id_, status = text_of(update, "toolCallId"), text_of(update, "status")
        if id_ not in self._tools and (title := text_of(update, "title")):
            self._tools.add(id_)
            self.acts += 1
            arg = argument_of(table_of(update, "rawInput")) or title
            does = _ACTS.get(text_of(update, "kind"), "")
            yield fact("tool", id=id_, name=text_of(update, "kind") or title.split(" ")[0], does=does, arg=arg)
        if status in ("completed", "failed"):
            self._tools_done += status == "completed"
            code = whole_of(update, "rawOutput", "exit_code")
            said = "\n".join(text_of(each, "content", "text") for each in tables_of(update, "content"))
            yield fact("tool_end", id=id_, ok=status == "completed" and not code, text=said, code=code)

    def _permission(self, event: Event) -> Iterator[Fact]:
        options = tables_of(event, "params", "options")
        what = text_of(event, "params", "toolCall", "title") or "a tool"
        does = all_of(table_of(event, "params", "toolCall", "rawInput"))
        if does and does not in what:  # its title is what the agent calls it
            what = f"{what}: {does}"
        if not options:  # no answer could allow it
            self.denied.append(what)
            self._send({"id": event.get("id"), "result": {"outcome": {"outcome": "cancelled"}}})
            yield fact("denied", tool=what, text="it asks, and offers nothing to choose")
            return
        question = str(event.get("id"))
        self._questions[question] = (event.get("id"), options)
        if self._allows is None:
            yield fact("ask", id=question, what=what, choices=[text_of(each, "name") for each in options])
            return
        if not self._allows:
            self.denied.append(what)
            yield fact("denied", tool=what, text="nobody is there to ask")
        self.answer(question, "yes" if self._allows else "no")

    def answer(self, question: str, answer: str, /) -> bool:
        """Choose the option that an answer means: by what `yes`, `always`, `no` mean, whatever their names are, else
        by its name; anything else refuses."""
        id_, options = self._questions.pop(question, (None, None))
        if options is None:
            return False
        kinds = {"yes": ("allow_once", "allow_always"), "always": ("allow_always", "allow_once")}
        wanted = kinds.get(answer, ("reject_once", "reject_always"))
        by_name = (each for each in options if answer not in (*kinds, "no") and text_of(each, "name") == answer)
        by_kind = (each for kind in wanted for each in options if text_of(each, "kind") == kind)
        chosen = next(by_name, None) or next(by_kind, None)
        outcome: Event = {"outcome": "cancelled"}
        if chosen is not None:
            outcome = {"outcome": "selected", "optionId": text_of(chosen, "optionId")}
        self._send({"id": id_, "result": {"outcome": outcome}})
        return True

    # --- the verdict

    def _turn_ended(self, result: Event) -> Iterator[Fact]:
        self.is_over = True
        usage = table_of(result, "usage")
        self.inp = whole_of(usage, "inputTokens") or whole_of(result, "_meta", "quota", "token_count", "input_tokens")
        self.out = whole_of(usage, "outputTokens") or whole_of(
            result, "_meta", "quota", "token_count", "output_tokens"
        )
        self.cached = whole_of(usage, "cachedReadTokens")
        reason = text_of(result, "stopReason")
        self.trouble = self._trouble_of_reason(reason)
        if any(value is not None for value in self.figures().values()):
            yield self.usage()

    def _trouble_of_reason(self, reason: str) -> Trouble | None:
        match reason:
            case "end_turn":
                if self._tools_done or len(self._said) > _SHORT:
                    return None
                end = ends.FAILED if _EMPTY in self._said else self.end_of_words(self._said)
                return None if end is None else Trouble(end, self._said)
            case "refusal":
                return Trouble(ends.REFUSED, self._said or "the model refused")
            case "cancelled":
                return Trouble(ends.INTERRUPTED, "it was interrupted")
            case "max_turn_requests" | "max_tokens":
                return Trouble(ends.BUDGET if reason == "max_turn_requests" else ends.FAILED, f"it ended by {reason}")
            case _:
                return Trouble(ends.FAILED, f"it ended by {reason or 'an answer without a reason'}")

    def _trouble_of(self, error: Event) -> Trouble:
        said = text_of(error, "message") or "an error without a word"
        if _is_of_auth(error):
            return Trouble(ends.AUTH, said)
        kinds = (text_of(error, "data", "errorKind"), text_of(error, "data", "codexErrorInfo"))
        known = next((_KINDS[kind] for kind in kinds if kind in _KINDS), None)
        details = text_of(error, "data", "details") or text_of(error, "data", "message")
        return Trouble(known or self.end_of_words(f"{said} {details}") or ends.FAILED, said)

    def verdict(self, exit_: Exit) -> Trouble | None:
        """The agent is ended by us, after the answer to the prompt: its exit code says nothing."""
        return super().verdict(exit_._replace(code=0) if self.is_over else exit_)

    def knows_no_conversation(self) -> bool:
        return self._is_unknown

    # --- what it is sent

    def _request(self, id_: int, method: str, **params: object) -> None:
        self._send({"id": id_, "method": method, "params": params})

    def _send(self, message: Event) -> None:
        self.to_send.append(json.dumps({"jsonrpc": "2.0", **message}))

    def _taken(self) -> str:
        lines, self.to_send = self.to_send, []
        return "".join(f"{line}\n" for line in lines)


def _is_of_auth(error: Event) -> bool:
    return whole_of(error, "code") in (_AUTH_NEEDED, 401, 403)
