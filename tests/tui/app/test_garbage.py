"""What the app does every few minutes, it does again and again."""

import gc
from typing import Any

import pytest

from parexec_tui.tui.app import app
from tests.tui.harness import run_app


@pytest.mark.asyncio
async def test_all_garbage_is_looked_for_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[dict[str, Any]] = []

    def seen(phase: str, facts: dict[str, Any]) -> None:
        if phase == "stop" and facts["generation"] == 2:
            looks.append(facts)

    monkeypatch.setattr(app, "_COLLECT_EVERY", 0.02)
    async with run_app() as ui:
        gc.callbacks.append(seen)
        try:
            await ui.until(lambda: len(looks) > 1, "it is looked for again and again")
        finally:
            gc.callbacks.remove(seen)
