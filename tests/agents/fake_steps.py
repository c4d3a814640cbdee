"""What the fake model does next: the scenario that a prompt names."""

import re
from typing import Any, NamedTuple

Body = dict[str, Any]


class Step(NamedTuple):
    """What the model does next."""

    text: str = ""
    command: str | None = None
    status: int = 200
    error: str = ""
    is_refused: bool = False


def step_of(prompt: str, results: int) -> Step:
    """What comes next in the scenario that a prompt names, after so many results of tools."""
    names = re.findall(r"SCENARIO=(\w+)", prompt)
    match names[-1] if names else "":
        case "sh":
            commands = [each.strip() for each in re.findall(r"<sh>(.*?)</sh>", prompt, re.DOTALL)]
            if results < len(commands):
                return Step("Working on it.", commands[results])
            return Step(f"Did {len(commands)} commands. DONE")
        case "limit":
            return Step(status=429, error="rate_limit_error")
        case "auth":
            return Step(status=401, error="authentication_error")
        case "outage":
            return Step(status=500, error="api_error")
        case "refuse":
            return Step(is_refused=True)
        case _:
            return Step("Hello from the fake model. DONE")


def text_of(content: object) -> str:
    if isinstance(content, list):
        return "\n".join(str(block.get("text") or "") for block in content if isinstance(block, dict))
    return content if isinstance(content, str) else ""
