"""When a limit ends, in the words of providers."""

import json
from datetime import UTC, datetime

import pytest

from parexec_tui.agents.facts import fact
from parexec_tui.agents.resets import reset_of
from parexec_tui.agents.streams.claude import ClaudeReader
from parexec_tui.agents.streams.codex import CodexReader
from parexec_tui.agents.streams.reader import Exit
from parexec_tui.agents.streams.told import FactsReader
from parexec_tui.agents.streams.troubles import Trouble

NOW = datetime(2026, 11, 28, 21, 56, 40, tzinfo=UTC).timestamp()


def at(day: int, hour: int, minute: int = 0, month: int = 11, year: int = 2026) -> float:
    return datetime(year, month, day, hour, minute, tzinfo=UTC).timestamp()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("You've hit your limit · resets 10:45pm (UTC)", at(28, 22, 45)),
        ("resets 3am (Europe/Paris)", at(29, 2)),
        ("resets 9:30pm (UTC)", at(29, 21, 30)),
        ("resets 9:56pm (UTC)", at(28, 21, 56)),  # this very minute, not tomorrow
        ("try again at 22:44 UTC.", at(28, 22, 44)),
        ("resets Dec 3, 10am (UTC)", at(3, 10, month=12)),
        ("try again at Jan 2nd, 2027 12:15 AM UTC", at(2, 0, 15, 1, 2027)),
        ("resets Jan 2 at 6pm (UTC)", at(2, 18, 0, 1, 2027)),
        ("Please try again in 2h 5m", NOW + 7500.0),
        ("try again in 3 days 4 hours 1 minute.", NOW + 273660.0),
        ("Retrying after 1.5s", NOW + 1.5),
        ("available again at 2026-11-29T01:00:00Z", at(29, 1)),
        ("you have used 5 of 100 requests", None),
        ("try again later", None),
        ("resets 25:99", None),
        ("resets 10pm (Nowhere/Land)", None),
        ("", None),
    ],
)
def test_a_reset_is_read(text: str, expected: float | None) -> None:
    assert reset_of(text, NOW) == expected


@pytest.mark.parametrize("far", [1796051617000, 1e14, NOW + 401 * 86400])
def test_a_reset_that_cannot_be_meant_is_not_known(far: float) -> None:
    wrapper = FactsReader()
    wrapper.read(json.dumps(fact("end", end="limited", until=far, why="no more")))
    claude = ClaudeReader()
    claude.read(json.dumps({"type": "rate_limit_event", "rate_limit_info": {"status": "rejected", "resetsAt": far}}))
    claude.read(json.dumps({"type": "result", "subtype": "success", "is_error": True, "result": "no more"}))
    for reader in (wrapper, claude):
        end = reader.end(Exit(1, NOW))
        assert (end["end"], end.get("until")) == ("limited", None)
        assert end["why"] == f"no more (until {far:.0f} is too far ahead to be meant)"
    assert CodexReader().until_of(Trouble("limited", "try again in 9999999999 days"), NOW) is None
