"""What the fake model API says to OpenCode, in OpenAI's chat completions, and to Gemini CLI."""

import json
from collections.abc import Iterator
from typing import Any

from tests.agents.fake_steps import Body, Step, text_of

USED = {"prompt_tokens": 1200, "completion_tokens": 42, "total_tokens": 1242} | {
    "prompt_tokens_details": {"cached_tokens": 500}
}
_USED_BY_GEMINI = {
    "promptTokenCount": 1200,
    "candidatesTokenCount": 42,
    "totalTokenCount": 1242,
    "cachedContentTokenCount": 500,
}
_STATUS = {429: "RESOURCE_EXHAUSTED", 401: "UNAUTHENTICATED", 500: "INTERNAL"}
_PER_DAY = {
    "@type": "type.googleapis.com/google.rpc.QuotaFailure",
    "violations": [
        {
            "quotaMetric": "generativelanguage.googleapis.com/generate_content_free_tier_requests",
            "quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier",
            "quotaValue": "50",
        }
    ],
}
"""A quota that is used up: Gemini CLI does not ask again."""


# --- chat completions


def in_chat(body: Body) -> tuple[str, int]:
    """The newest prompt with a scenario, and the results of tools behind it."""
    results = 0
    for message in reversed(body.get("messages", [])):
        results += message["role"] == "tool"
        if message["role"] == "user" and "SCENARIO=" in (text := text_of(message.get("content"))):
            return text, results
    return "", 0


def chat_error(step: Step) -> Body:
    return {"error": {"message": f"fake error {step.error}", "type": step.error, "code": step.error}}


def chat_chunks(body: Body, step: Step, number: int) -> Iterator[Body | str]:
    """The answer as a stream."""

    def chunk(delta: Body, reason: str | None = None, **more: Any) -> Body:
        choices = [] if more else [{"index": 0, "delta": delta, "finish_reason": reason}]
        about = {"id": f"chat_{number}", "object": "chat.completion.chunk", "created": 1, "model": body.get("model")}
        return {**about, "choices": choices, **more}

    yield chunk({"role": "assistant", "content": step.text})
    if step.command is not None:
        names = [tool["function"]["name"] for tool in body.get("tools", [])]
        asked = {"command": step.command, "description": "Run a test command"}
        call = {"name": "bash" if "bash" in names else "shell", "arguments": json.dumps(asked)}
        yield chunk({"tool_calls": [{"index": 0, "id": f"call_{number}", "type": "function", "function": call}]})
    yield chunk({}, "stop" if step.command is None else "tool_calls")
    yield chunk({}, usage=USED)
    yield "[DONE]"


# --- Gemini


def in_gemini(body: Body) -> tuple[str, int]:
    results = 0
    for message in reversed(body.get("contents", [])):
        parts = message.get("parts", []) if message.get("role") == "user" else []
        results += sum("functionResponse" in part for part in parts)
        if "SCENARIO=" in (text := "\n".join(part.get("text", "") for part in parts)):
            return text, results
    return "", 0


def gemini_error(step: Step) -> Body:
    status = _STATUS[step.status]
    told = {"code": step.status, "message": f"fake error {status}", "status": status}
    return {"error": {**told, "details": [_PER_DAY] if step.status == 429 else []}}


def gemini_answer(body: Body, step: Step) -> Body:
    """The whole answer; as a stream it is its only event."""
    parts: list[Body] = [{"text": step.text}] if step.text else []
    if step.command is not None:
        asked = {"command": step.command, "description": "Run a test command"}
        parts.append({"functionCall": {"name": "run_shell_command", "args": asked}})
    if (body.get("generationConfig") or {}).get("responseMimeType") == "application/json":  # its router asks
        chosen = {"reasoning": "x", "next_speaker": "user", "model_choice": "flash"}
        parts = [{"text": json.dumps({**chosen, "complexity_reasoning": "x", "complexity_score": 1})}]
    said = {"content": {"role": "model", "parts": parts}, "index": 0, "finishReason": "STOP"}
    return {"candidates": [said], "usageMetadata": _USED_BY_GEMINI, "modelVersion": "fake", "responseId": "fake"}
