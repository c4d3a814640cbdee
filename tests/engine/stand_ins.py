"""Coding agents for tests: plans that name the stand-ins of the sample plans, and what those were called with."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "sample_plans" / "agents"

KINDS = ("claude", "codex", "gemini", "opencode")


def home(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the stand-ins keep accounts and conversations, from now on."""
    kept = folder / "stand-ins"
    monkeypatch.setenv("STAND_IN_HOME", str(kept))
    monkeypatch.setenv("IS_SANDBOX", "1")
    return kept


def agent(kind: str, name: str = "", **keys: object) -> str:
    """The table of an agent type that is a stand-in, allowed all: `max=4`."""
    program = {"command": [str(FOLDER / kind)]} if kind == "acp" else {"program": str(FOLDER / kind)}
    told = {"kind": kind, **program, "permissions": "all", **keys}
    return f"[agents.{name or kind}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())


def ticket(id_: str, prompt: str, **keys: object) -> str:
    told = {"prompt": prompt, **keys}
    return f"[tickets.{id_}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in told.items())


def calls() -> list[Mapping[str, Any]]:
    """How the stand-ins were called, in this order."""
    file = Path(os.environ["STAND_IN_HOME"], "calls.jsonl")
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
