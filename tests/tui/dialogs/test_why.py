"""The box that says why: what it reads, and where."""

import threading
from collections.abc import Sequence

import pytest

from parexec_tui.outputs.output import Output
from parexec_tui.text.attempt_output import last_lines
from parexec_tui.tui.dialogs import why
from tests.tui.harness import run_app


@pytest.mark.asyncio
async def test_the_output_of_a_failed_ticket_is_read_once_and_in_a_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    readers: list[threading.Thread] = []

    def read(output: Output) -> Sequence[str]:
        readers.append(threading.current_thread())
        return last_lines(output)

    monkeypatch.setattr(why, "last_lines", read)
    async with run_app(ticket="bench", size=(120, 40)) as ui:
        await ui.press("w")
        await ui.until(lambda: "its last output:" in ui.text(), "it is read")
        ui.played.wait(1)
        await ui.hesitate()
        assert len(readers) == 1
        assert readers[0] is not threading.main_thread()
