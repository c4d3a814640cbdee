"""Codex: `codex exec --json` (read with 0.171.0)."""

import re
from collections.abc import Iterator

from parexec_tui.agents import ends
from parexec_tui.agents.facts import Event, Fact, fact, table_of, tables_of, text_of, whole_of
from parexec_tui.agents.streams.reader import Exit, Reader, argument_of, less, plan_of
from parexec_tui.agents.streams.troubles import Trouble

_RETRY = re.compile(r"Reconnecting\.\.\. (\d+)/(\d+)(?: \((.*)\))?", re.DOTALL)
_SHELL = re.compile(r"^(?:/\S*/)?(?:ba|z|da)?sh -l?c (['\"])(.*)\1$", re.DOTALL)
_ASKED = re.compile(r"last status: (\d{3})|unexpected status (\d{3})")


class CodexReader(Reader):
    """`turn.completed` or `turn.failed` ends a run; an `error` before it does not, nor does an item of that type."""

    tells_turns = False

    def on_event(self, event: Event) -> Iterator[Fact]:
        item = table_of(event, "item")
        match text_of(event, "type"):
            case "thread.started":
                self.session = text_of(event, "thread_id")
                yield fact("session", id=self.session)
            case "item.started":
                yield from self._begins(item)
            case "item.updated":
                if text_of(item, "type") == "todo_list":
                    yield _plan(item)
            case "item.completed":
                yield from self._is_done(item)
            case "error":
                yield self._error(text_of(event, "message"))
            case "turn.completed":
                self.is_over, self.trouble = True, None
                self._count(event)
                yield self.usage()
            case "turn.failed":
                self.is_over = True
                self.trouble = self._trouble_of(text_of(event, "error", "message"))
            case _:
                pass

    def _begins(self, item: Event) -> Iterator[Fact]:
        id_ = text_of(item, "id")
        match text_of(item, "type"):
            case "command_execution":
                self.acts += 1
                command = command_of(text_of(item, "command"))
                yield fact("tool", id=id_, name="shell", does="run", arg=command)
            case "mcp_tool_call":
                self.acts += 1
                name = f"{text_of(item, 'server')}.{text_of(item, 'tool')}"
                yield fact("tool", id=id_, name=name, does="", arg=argument_of(table_of(item, "arguments")))
            case "todo_list":
                yield _plan(item)
            case _:
                pass

    def _is_done(self, item: Event) -> Iterator[Fact]:
        id_, status = text_of(item, "id"), text_of(item, "status")
        match text_of(item, "type"):
            case "agent_message":
                self.acts += 1
                yield fact("text", text=text_of(item, "text"))
            case "reasoning":
                yield fact("thought", text=text_of(item, "text"))
            case "command_execution":
                code = whole_of(item, "exit_code")
                if status == "declined":
                    yield self._deny("shell", command_of(text_of(item, "command")))
                is_right = status == "completed" and not code
                yield fact("tool_end", id=id_, ok=is_right, text=text_of(item, "aggregated_output"), code=code)
            case "file_change":
                self.acts += 1
                changes = tables_of(item, "changes")
                paths = ", ".join(filter(None, (text_of(each, "path") for each in changes)))
                if status == "declined":
                    yield self._deny("apply_patch", paths)
                yield fact("tool", id=id_, name="apply_patch", does="write", arg=paths)
                yield fact("tool_end", id=id_, ok=status != "failed", text="")
            case "mcp_tool_call":
                yield fact("tool_end", id=id_, ok=status == "completed", text=text_of(item, "error", "message"))
            case "web_search":
                self.acts += 1
                yield fact("tool", id=id_, name="web_search", does="search", arg=text_of(item, "query"))
                yield fact("tool_end", id=id_, ok=True, text="")
            case "todo_list":
                yield _plan(item)
            case "error":
                yield fact("note", text=text_of(item, "message"))
            case _:
                pass

    def _error(self, said: str) -> Fact:
        if found := _RETRY.fullmatch(said):
            why = found[3] or ""
            status = _ASKED.search(why)
            known = None if status is None else int(status[1] or status[2])
            return fact("retry", n=int(found[1]), of=int(found[2]), why=why, status=known)
        return fact("note", text=said)

    def _deny(self, tool: str, text: str) -> Fact:
        self.deny(tool, text)
        return fact("denied", tool=tool, text=text)

    def _count(self, event: Event) -> None:
        """Its usage is that of the whole conversation."""
        usage = table_of(event, "usage")
        whole, cached = whole_of(usage, "input_tokens"), whole_of(usage, "cached_input_tokens")
        anew = None if whole is None else whole - (cached or 0)
        self.inp = less(anew, self.before.inp)
        self.cached = less(cached, self.before.cached)
        self.out = less(whole_of(usage, "output_tokens"), self.before.out)

    def _trouble_of(self, why: str) -> Trouble:
        return Trouble(self.end_of_words(why) or ends.FAILED, why or "the turn failed")

    def without_end(self, exit_: Exit) -> Trouble:
        if self.events == 0 and exit_.code in (1, 2):
            said = " ".join(self.errors)
            end = ends.AUTH if self.end_of_words(said) == ends.AUTH else ends.BAD_SETUP
            return Trouble(end, self._first_error() or f"exit code {exit_.code}")
        return super().without_end(exit_)

    def _first_error(self) -> str:
        """What it says before its stack of calls."""
        return next((line.strip()[:300] for line in self.errors if line.lower().startswith("error")), "") or (
            self.last_error().removeprefix(": ")
        )

    def knows_no_conversation(self) -> bool:
        return not self.events and any("no rollout found" in line for line in self.errors)


def command_of(command: str) -> str:
    """A command without the shell that Codex puts around it."""
    found = _SHELL.match(command)
    if found is None:
        return command
    inner = found[2]
    return inner.replace("'\\''", "'") if found[1] == "'" else inner.replace('\\"', '"').replace("\\\\", "\\")


def _plan(item: Event) -> Fact:
    items = [(each.get("completed") is True, text_of(each, "text")) for each in tables_of(item, "items")]
    first = next((text for is_done, text in items if not is_done), None)
    return plan_of([("completed" if is_done else "in_progress" * (text == first), text) for is_done, text in items])
