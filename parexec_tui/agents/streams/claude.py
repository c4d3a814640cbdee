"""Claude Code: `claude -p --output-format stream-json --verbose` (read with 2.1.332)."""

import json
from collections.abc import Iterator

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Event, Fact, fact, number_of, table_of, tables_of, text_of, value_of, whole_of
from parexec_tui.agents.streams.reader import NOTHING_BEFORE, Exit, Figures, Reader, all_of, argument_of, plan_of
from parexec_tui.agents.streams.troubles import NO_PATTERNS, Patterns, Trouble, end_of_status

ACTS = {
    "Bash": "run",
    "BashOutput": "read",
    "Read": "read",
    "NotebookRead": "read",
    "Edit": "write",
    "MultiEdit": "write",
    "Write": "write",
    "NotebookEdit": "write",
    "Grep": "search",
    "Glob": "search",
    "WebSearch": "search",
    "WebFetch": "fetch",
    "Task": "delegate",
    "Agent": "delegate",
}

_ERRORS = {
    "rate_limit": ends.LIMITED,
    "authentication_failed": ends.AUTH,
    "billing_error": ends.AUTH,
    "server_error": ends.UNAVAILABLE,
    "overloaded": ends.UNAVAILABLE,
}
"""By the `error` of a message of Claude Code itself what it means."""

ASKS = "AskUserQuestion"
"""The tool with which it asks a person something of its own."""

NO_SETUP = ("sandbox required", "without a working sandbox")


class ClaudeReader(Reader):
    """`result` ends a run. Its `subtype` is "success" for any error of the API: that says nothing."""

    def __init__(
        self, *, asks: bool = False, before: Figures = NOTHING_BEFORE, patterns: Patterns = NO_PATTERNS
    ) -> None:
        """`asks`: whether it asks for permission, over its standard input and output."""
        super().__init__(before=before, patterns=patterns)
        self._asks = asks
        self._counted: dict[str, tuple[int, int]] = {}
        """By message the tokens that it read anew, and those out of a cache."""
        self._tasks: dict[str, tuple[str, str]] = {}
        """By number the status of a task of its own, and what it is."""
        self._calls: dict[str, str] = {}
        """By call of a tool what it is to do."""
        self._noes: dict[str, int] = {}
        """By tool how often a person refused it: that is an answer, and nobody has to be asked again."""
        self._noes_at_end: dict[str, int] = {}
        """The same, for the list of all that was refused at the end."""
        self._asked: dict[str, Event] = {}
        """By question that waits the input of the tool."""
        self._own: dict[str, tuple[str, str]] = {}
        """By question of its own that waits the request that it is part of, and its text."""
        self._answers: dict[str, dict[str, str]] = {}
        """By request what was answered so far to its questions."""
        self._rejected: Trouble | None = None
        """That the account's limit is reached, as an event about limits says."""

    def on_event(self, event: Event) -> Iterator[Fact]:
        self.session = text_of(event, "session_id") or self.session
        match text_of(event, "type"), text_of(event, "subtype"):
            case "system", "init":
                self.model = text_of(event, "model")
                yield fact(
                    "session",
                    id=self.session,
                    model=self.model,
                    version=text_of(event, "claude_code_version"),
                    mode=text_of(event, "permissionMode"),
                )
            case "system", "api_retry":
                wait = number_of(event, "retry_delay_ms")
                yield fact(
                    "retry",
                    n=whole_of(event, "attempt"),
                    of=whole_of(event, "max_retries"),
                    wait=None if wait is None else wait / 1000.0,
                    why=text_of(event, "error"),
                    status=whole_of(event, "error_status"),
                )
            case "system", "permission_denied":
                tool = text_of(event, "tool_name")
                if not self._is_answered(tool, self._noes):
                    self.deny(tool, self._calls.get(text_of(event, "tool_use_id"), ""))
                    yield fact("denied", tool=tool, text=text_of(event, "message"))
            case "assistant", _:
                yield from self._message(event)
            case "user", _:
                yield from self._results(event)
            case "rate_limit_event", _:
                yield self._limit(table_of(event, "rate_limit_info"))
            case "control_request", _:
                yield from self._question(event)
            case "control_cancel_request", _:
                yield from self._withdrawn(text_of(event, "request_id"))
            case "result", subtype:
                yield self._result(event, subtype)
            case _:
                pass

    def _message(self, event: Event) -> Iterator[Fact]:
        message = table_of(event, "message")
        if text_of(event, "error") or event.get("is_api_error_message") is True:
            self._api_error(event, " ".join(text_of(each, "text") for each in tables_of(message, "content")))
            return
        sub = True if text_of(event, "parent_tool_use_id") else None
        for block in tables_of(message, "content"):
            match text_of(block, "type"):
                case "text":
                    if said := text_of(block, "text"):
                        self.acts += 1
                        yield fact("text", text=said, sub=sub)
                case "thinking":
                    if thought := text_of(block, "thinking"):
                        yield fact("thought", text=thought)
                case "tool_use":
                    self.acts += 1
                    name, inputs = text_of(block, "name"), table_of(block, "input")
                    self._calls[text_of(block, "id")] = argument_of(inputs)
                    if (plan := self._plan(name, inputs)) is not None:
                        yield plan
                    else:
                        yield fact(
                            "tool",
                            id=text_of(block, "id"),
                            name=name,
                            does=ACTS.get(name, ""),
                            arg=argument_of(inputs),
                            sub=sub,
                        )
                case _:
                    pass
        if self._count(message):
            yield self.usage()

    def _count(self, message: Event) -> bool:
        """Add a message's tokens, once for each: it is told again with each block. Its output is known at the end."""
        id_, inp, cached = (
            text_of(message, "id"),
            _read_anew(message),
            whole_of(message, "usage", "cache_read_input_tokens"),
        )
        if not id_ or id_ in self._counted or inp is None:
            return False
        self._counted[id_] = (inp, cached or 0)
        self.inp = sum(each for each, _ in self._counted.values())
        self.cached = sum(each for _, each in self._counted.values())
        self.turns = len(self._counted)
        return True

    def _plan(self, name: str, inputs: Event) -> Fact | None:
        """The agent's own list of things to do; None: the tool is another."""
        match name:
            case "TodoWrite":
                todos = tables_of(inputs, "todos")
                return plan_of([(text_of(each, "status"), text_of(each, "content")) for each in todos])
            case "TaskCreate":
                self._tasks[str(len(self._tasks) + 1)] = ("pending", text_of(inputs, "subject"))
            case "TaskUpdate":
                id_ = str(value_of(inputs, "taskId") or "")
                status, subject = self._tasks.get(id_, ("", ""))
                self._tasks[id_] = (text_of(inputs, "status") or status, text_of(inputs, "subject") or subject)
            case _:
                return None
        return plan_of(list(self._tasks.values()))

    def _results(self, event: Event) -> Iterator[Fact]:
        content = value_of(event, "message", "content")
        for block in content if isinstance(content, list) else ():
            if isinstance(block, dict) and text_of(block, "type") == "tool_result":
                yield fact(
                    "tool_end",
                    id=text_of(block, "tool_use_id"),
                    ok=block.get("is_error") is not True,
                    text=_content(block.get("content")),
                )

    def _limit(self, info: Event) -> Fact:
        status, until = text_of(info, "status"), number_of(info, "resetsAt")
        if status == "rejected":
            self._rejected = Trouble(ends.LIMITED, "", until)
        window = text_of(info, "rateLimitType")
        used = number_of(info, "utilization")
        if used is None:
            used = number_of(info, "unifiedWindows", window, "utilization")
        return fact("limit", status=status, until=until, window=window, used=used)

    @staticmethod
    def _is_answered(tool: str, noes: dict[str, int]) -> bool:
        """Whether it was a person who refused this call; each of their answers counts for one."""
        left = noes.get(tool, 0)
        if left:
            noes[tool] = left - 1
        return left > 0

    def _question(self, event: Event) -> Iterator[Fact]:
        request = table_of(event, "request")
        if text_of(request, "subtype") == "can_use_tool":
            tool, id_ = text_of(request, "tool_name"), text_of(event, "request_id")
            self._asked[id_] = request
            if tool == ASKS and (questions := tables_of(request, "input", "questions")):
                self._answers[id_] = {}
                for number, each in enumerate(questions):
                    self._own[f"{id_}.{number}"] = id_, text_of(each, "question")
                    choices = [text_of(option, "label") for option in tables_of(each, "options")]
                    yield fact("ask", id=f"{id_}.{number}", what=_own_question(each), choices=choices)
                return
            yield fact("ask", id=id_, what=f"{tool}: {all_of(table_of(request, 'input'))}", choices=["yes", "no"])

    def _withdrawn(self, request: str) -> Iterator[Fact]:
        """It does not want to know that any more."""
        if self._asked.pop(request, None) is None:
            return
        self._answers.pop(request, None)
        own = [question for question, (of, _) in self._own.items() if of == request]
        for question in own:
            del self._own[question]
        yield from (fact("ask_done", id=each, answer="withdrawn") for each in own or [request])

    def begin(self, prompt: str) -> tuple[str, bool]:
        if not self._asks:
            return super().begin(prompt)
        content = [{"type": "text", "text": prompt}]
        return json.dumps({"type": "user", "message": {"role": "user", "content": content}}) + "\n", False

    def answer(self, question: str, answer: str, /) -> bool:
        """Allow or refuse a tool: `yes`, `always`; anything else is told to the agent as the reason why not."""
        if question in self._own:
            return self._own_answered(question, answer)
        request = self._asked.pop(question, None)
        if request is None:
            return False
        inputs, allowed = table_of(request, "input"), answer in ("yes", "always")
        if not allowed:
            tool = text_of(request, "tool_name")
            for noes in (self._noes, self._noes_at_end):
                noes[tool] = noes.get(tool, 0) + 1
        said: Event = (
            {"behavior": "allow", "updatedInput": inputs} if allowed else {"behavior": "deny", "message": answer}
        )
        self._respond(question, said)
        return True

    def _own_answered(self, question: str, answer: str) -> bool:
        """Note the answer to a question of its own; when all of a request have one, tell it."""
        request, text = self._own.pop(question)
        self._answers[request][text] = answer
        if request not in (of for of, _ in self._own.values()):
            inputs = {**table_of(self._asked.pop(request), "input"), "answers": self._answers.pop(request)}
            self._respond(request, {"behavior": "allow", "updatedInput": inputs})
        return True

    def _respond(self, request: str, said: Event) -> None:
        response = {"subtype": "success", "request_id": request, "response": said}
        self.to_send.append(json.dumps({"type": "control_response", "response": response}))

    def _api_error(self, event: Event, said: str) -> None:
        status, error = number_of(event, "api_error_status"), text_of(event, "error")
        end = end_of_status(status) if status is not None else _ERRORS.get(error)
        if end == ends.LIMITED and self._rejected is not None:
            self.trouble = self._rejected._replace(why=said)
        elif end is not None:
            self.trouble = Trouble(end, said or error)

    def _result(self, event: Event, subtype: str) -> Fact:
        self.is_over = True
        self.trouble = self._trouble_of(event, subtype)
        for denial in tables_of(event, "permission_denials"):
            tool = text_of(denial, "tool_name")
            if not self._is_answered(tool, self._noes_at_end):
                inputs = table_of(denial, "tool_input")
                own = "; ".join(text_of(each, "question") for each in tables_of(inputs, "questions"))
                self.deny(tool, own if tool == ASKS and own else argument_of(inputs))
        usage = table_of(event, "usage")
        if (inp := _read_anew({"usage": usage})) or whole_of(usage, "output_tokens"):
            self.inp, self.out = inp, whole_of(usage, "output_tokens")
            self.cached = whole_of(usage, "cache_read_input_tokens")
        self.turns = whole_of(event, "num_turns")
        cost = number_of(event, "total_cost_usd")
        if cost is not None:  # of the whole conversation
            self.cost = max(0.0, cost - (self.before.cost or 0.0))
        return self.usage()

    def _trouble_of(self, event: Event, subtype: str) -> Trouble | None:
        errors = value_of(event, "errors")
        said = "; ".join(str(each) for each in errors) if isinstance(errors, list) else ""
        why = said or text_of(event, "result") or (self.trouble.why if self.trouble is not None else "")
        if text_of(event, "terminal_reason").startswith("aborted"):
            return Trouble(ends.INTERRUPTED, "it was interrupted")
        if subtype == "error_max_turns":
            return Trouble(ends.BUDGET, why or "it took all turns that it may (error_max_turns)")
        if subtype == "error_max_budget_usd":
            return Trouble(ends.BUDGET, why or "it spent all that it may (error_max_budget_usd)")
        if event.get("is_error") is not True and subtype == "success":
            return None
        if text_of(event, "stop_reason") == "refusal":
            return Trouble(ends.REFUSED, why)
        if any(words in why.lower() for words in NO_SETUP):
            return Trouble(ends.BAD_SETUP, why)
        if self._rejected is not None:
            return self._rejected._replace(why=why)
        if end := end_of_status(number_of(event, "api_error_status")):
            return Trouble(end, why)
        if self.trouble is not None:
            return self.trouble
        is_of_api = text_of(event, "terminal_reason") == "api_error"
        return Trouble((self.end_of_words(why) if is_of_api else None) or ends.FAILED, why or "no reason given")

    def without_end(self, exit_: Exit) -> Trouble:
        if not self.acts and exit_.code == 1 and not self.session:
            return Trouble(
                ends.BAD_SETUP, self.last_error().removeprefix(": ") or "exit code 1 before its first word"
            )
        return super().without_end(exit_)

    def knows_no_conversation(self) -> bool:
        said = self.trouble.why if self.trouble is not None else ""
        return not self.acts and "no conversation found" in f"{said} {' '.join(self.errors)}".lower()

    def has_such_conversation(self) -> bool:
        return not self.events and any("is already in use" in line for line in self.errors)


def _read_anew(message: Event) -> int | None:
    inp = whole_of(message, "usage", "input_tokens")
    made = whole_of(message, "usage", "cache_creation_input_tokens")
    return None if inp is None else inp + (made or 0)


def _content(content: object) -> str:
    """The text of a tool's result, which is a text or a list of blocks."""
    if isinstance(content, list):
        return "\n".join(text_of(each, "text") for each in content if isinstance(each, dict))
    return content if isinstance(content, str) else ""


def _own_question(question: Event) -> str:
    """A question with what may be chosen, a line each."""
    options = [
        f"  {text_of(each, 'label')}: {text_of(each, 'description')}".removesuffix(": ")
        for each in tables_of(question, "options")
    ]
    several = ["  (several: with commas between them)"] if question.get("multiSelect") is True else []
    return "\n".join((text_of(question, "question"), *options, *several))
