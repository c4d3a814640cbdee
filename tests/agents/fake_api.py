"""A model API on the loopback, for the real CLIs: Anthropic's, OpenAI's Responses and chat completions, Gemini's.

What it answers is chosen by `SCENARIO=name` in the newest prompt that has one; how far it is, by the results of tools
behind that. `SCENARIO=sh` takes commands between `<sh>` and `</sh>`, one call of a tool each.
"""

import json
import threading
import time
from collections.abc import Iterable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

from tests.agents import fake_chat
from tests.agents.fake_steps import Body, Step, step_of, text_of

RESET = 3600
"""Seconds until the limit of the scenario `limit` ends."""


class FakeApi:
    """The server, while it runs: `with FakeApi() as api`."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "FakeApi":
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    numbers = count(1)

    def log_message(self, *_: object) -> None:
        pass

    def do_HEAD(self) -> None:
        self.answer({}, 200, {})

    def do_GET(self) -> None:
        if self.path.split("?")[0].endswith("/models"):
            self.answer({"object": "list", "data": [], "models": []}, 200, {})
        else:
            self.answer({"error": {"message": "not found", "type": "not_found_error"}}, 404, {})

    def do_POST(self) -> None:
        body = json.loads(self._body() or b"{}")
        path = self.path.split("?")[0]
        if path.endswith("/count_tokens"):
            self.answer({"input_tokens": 100}, 200, {})
        elif path.endswith("/messages"):
            self.on_messages(body, step_of(*_in_messages(body)))
        elif path.endswith("/responses"):
            self.on_responses(body, step_of(*_in_responses(body)))
        elif path.endswith("/chat/completions"):
            self.on_chat(body, step_of(*fake_chat.in_chat(body)))
        elif path.endswith(":countTokens"):
            self.answer({"totalTokens": 100}, 200, {})
        elif path.endswith((":generateContent", ":streamGenerateContent")):
            self.on_gemini(body, step_of(*fake_chat.in_gemini(body)), is_stream="stream" in path)
        else:
            self.answer({}, 404, {})

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("content-length") or 0))
        parts = []
        while size := int(self.rfile.readline().strip() or b"0", 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(parts)

    def answer(self, said: Body, status: int, headers: dict[str, str]) -> None:
        data = json.dumps(said).encode()
        self.send_response(status)
        for name, value in {**headers, "content-type": "application/json", "content-length": str(len(data))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)

    def stream(self, events: Iterable[Body | str]) -> None:
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("connection", "close")
        self.end_headers()
        self.close_connection = True
        for event in events:
            kind = f"event: {event['type']}\n" if isinstance(event, dict) and "type" in event else ""
            data = event if isinstance(event, str) else json.dumps(event)
            self.wfile.write(f"{kind}data: {data}\n\n".encode())
            self.wfile.flush()

    # --- Anthropic

    def on_messages(self, body: Body, step: Step) -> None:
        if step.status != 200:
            said = {"type": "error", "error": {"type": step.error, "message": f"fake error {step.error}"}}
            again = "true" if step.status >= 500 else "false"
            headers = {"request-id": "req_fake", "x-should-retry": again}
            self.answer(said, step.status, headers | (_limits() if step.status == 429 else {}))
            return
        used = {"input_tokens": 1200, "cache_read_input_tokens": 500, "output_tokens": 42}
        blocks: list[Body] = [{"type": "text", "text": step.text}] if step.text else []
        if step.command is not None:
            asked = {"command": step.command, "description": "Run a test command"}
            blocks.append({"type": "tool_use", "id": f"toolu_{next(self.numbers)}", "name": "Bash", "input": asked})
        stop = "refusal" if step.is_refused else "end_turn" if step.command is None else "tool_use"
        message = {
            "id": f"msg_{next(self.numbers)}",
            "type": "message",
            "role": "assistant",
            "model": body.get("model"),
            "content": blocks,
            "stop_reason": stop,
            "stop_sequence": None,
            "usage": used,
        }
        if not body.get("stream"):
            self.answer(message, 200, {})
            return
        started = {**message, "content": [], "stop_reason": None, "usage": {**used, "output_tokens": 1}}
        events: list[Body] = [{"type": "message_start", "message": started}]
        for index, block in enumerate(blocks):
            is_text = block["type"] == "text"
            empty = {**block, "text": ""} if is_text else {**block, "input": {}}
            delta = (
                {"type": "text_delta", "text": block["text"]}
                if is_text
                else {"type": "input_json_delta", "partial_json": json.dumps(block["input"])}
            )
            events += [
                {"type": "content_block_start", "index": index, "content_block": empty},
                {"type": "content_block_delta", "index": index, "delta": delta},
                {"type": "content_block_stop", "index": index},
            ]
        ended = {"stop_reason": stop, "stop_sequence": None}
        self.stream([*events, {"type": "message_delta", "delta": ended, "usage": used}, {"type": "message_stop"}])

    # --- OpenAI's chat completions, and Gemini

    def on_chat(self, body: Body, step: Step) -> None:
        if step.status != 200:
            self.answer(fake_chat.chat_error(step), step.status, {})
        else:
            self.stream(fake_chat.chat_chunks(body, step, next(self.numbers)))

    def on_gemini(self, body: Body, step: Step, *, is_stream: bool) -> None:
        if step.status != 200:
            self.answer(fake_chat.gemini_error(step), step.status, {})
        elif is_stream:
            self.stream([fake_chat.gemini_answer(body, step)])
        else:
            self.answer(fake_chat.gemini_answer(body, step), 200, {})

    # --- OpenAI's Responses

    def on_responses(self, body: Body, step: Step) -> None:
        if step.status != 200:
            error: Body = {"message": f"fake error {step.error}", "type": step.error, "code": step.error}
            if step.status == 429:
                until = int(time.time()) + RESET
                error = {"type": "usage_limit_reached", "message": "The usage limit has been reached"}
                error |= {"plan_type": "plus", "resets_at": until, "resets_in_seconds": RESET}
            self.answer({"error": error}, step.status, {})
            return
        id_ = f"resp_{next(self.numbers)}"
        items: list[Body] = []
        if step.text:
            content = [{"type": "output_text", "text": step.text, "annotations": []}]
            items.append({"type": "message", "id": f"msg_{id_}", "role": "assistant", "content": content})
        if step.command is not None:
            items.append(self._call(body, step.command))
        used: Body = {"input_tokens": 1200, "output_tokens": 42, "total_tokens": 1242}
        used |= {"input_tokens_details": {"cached_tokens": 500}, "output_tokens_details": {"reasoning_tokens": 0}}
        response: Body = {
            "id": id_,
            "object": "response",
            "model": body.get("model"),
            "status": "in_progress",
            "output": [],
        }
        events: list[Body] = [{"type": "response.created", "response": response}]
        for index, item in enumerate(items):
            begun = {**item, "status": "in_progress"}
            events.append({"type": "response.output_item.added", "output_index": index, "item": begun})
            done = {**item, "status": "completed"}
            events.append({"type": "response.output_item.done", "output_index": index, "item": done})
        response = {**response, "status": "completed", "output": items, "usage": used}
        self.stream([*events, {"type": "response.completed", "response": response}])

    def _call(self, body: Body, command: str) -> Body:
        """A call of whichever tool it offers for commands."""
        tools = {tool.get("name") or tool.get("type"): tool for tool in body.get("tools", [])}
        call_id = f"call_{next(self.numbers)}"
        if "exec" in tools and tools["exec"].get("type") == "custom":
            asked = f"const r = await tools.exec_command({json.dumps({'cmd': command})}); text(r);"
            return {
                "type": "custom_tool_call",
                "id": f"c_{call_id}",
                "call_id": call_id,
                "name": "exec",
                "input": asked,
            }
        name = next((each for each in ("exec_command", "shell_command", "shell") if each in tools), "shell")
        known = tools.get(name, {}).get("parameters", {}).get("properties", {})
        words = ["bash", "-lc", command] if known.get("command", {}).get("type") == "array" else command
        arguments = json.dumps({"cmd": command} if "cmd" in known else {"command": words})
        return {
            "type": "function_call",
            "id": f"f_{call_id}",
            "call_id": call_id,
            "name": name,
            "arguments": arguments,
        }


def _limits() -> dict[str, str]:
    """What Anthropic says of a subscription whose limit is reached."""
    told = {"status": "rejected", "reset": str(int(time.time()) + RESET), "representative-claim": "five_hour"}
    told |= {"5h-utilization": "1.0", "5h-reset": told["reset"], "overage-status": "rejected"}
    return {"retry-after": str(RESET)} | {
        f"anthropic-ratelimit-unified-{name}": value for name, value in told.items()
    }


def _in_messages(body: Body) -> tuple[str, int]:
    """The newest prompt with a scenario, and the results of tools behind it."""
    results = 0
    for message in reversed(body.get("messages", [])):
        if message["role"] == "user":
            content = message["content"]
            if isinstance(content, list):
                results += sum(block.get("type") == "tool_result" for block in content)
            if "SCENARIO=" in (text := text_of(content)):
                return text, results
    return "", 0


def _in_responses(body: Body) -> tuple[str, int]:
    results = 0
    for item in reversed(body.get("input") or []):
        results += item.get("type", "").endswith("_call_output")
        if item.get("role") == "user" and "SCENARIO=" in (text := text_of(item.get("content"))):
            return text, results
    return "", 0
