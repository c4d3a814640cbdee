"""What tokens cost, for CLIs that do not tell what they cost themselves."""

from pathlib import Path

import pytest

from parexec_tui.agents.brief import Brief, Caps, decode, encode
from parexec_tui.agents.streams.claude import ClaudeReader
from parexec_tui.agents.streams.codex import CodexReader
from parexec_tui.agents.streams.reader import Exit, Prices
from parexec_tui.engine.backends.local.model_prices import prices_of
from tests.agents.test_minder import Played, recording

PRICES = Prices(1.25, 10.0, 0.125)


def test_a_brief_has_them() -> None:
    brief = Brief("codex", "x", "", "", "", prices=PRICES)
    assert decode(encode(brief)).prices == PRICES
    assert decode(encode(brief._replace(prices=None))).prices is None


def test_the_cost_of_tokens_is_marked_as_computed() -> None:
    reader = CodexReader()
    reader.prices = PRICES
    for line in Path(recording("codex/text")).read_text().splitlines():
        reader.read(line)
    end = reader.end(Exit(0, 0.0))
    assert isinstance(end["inp"], int)
    assert isinstance(end["out"], int)
    assert isinstance(end["cached"], int)
    assert end["cost"] == pytest.approx((end["inp"] * 1.25 + end["out"] * 10 + end["cached"] * 0.125) / 1e6)
    assert end["computed"] is True


def test_what_a_cli_tells_itself_counts_more() -> None:
    reader = ClaudeReader()
    reader.prices = PRICES
    for line in Path(recording("claude/text")).read_text().splitlines():
        reader.read(line)
    end = reader.end(Exit(0, 0.0))
    assert end["cost"] == pytest.approx(0.00579, rel=0.5)
    assert "computed" not in end


def test_a_cap_of_dollars_holds_by_them(tmp_path: Path) -> None:
    script = """echo '{"fact":"usage","inp":500,"out":100}' >> "$PAREXEC_FACTS"; exec sleep 30"""
    played = Played(tmp_path, "facts", script, caps=Caps(cost=1.0), prices=Prices(2000.0, 2000.0, 0.0))
    assert played.run() == 73
    assert played.end["why"] == "$1.20 of $1.00 are spent"
    assert (played.end["computed"], played.end["least"]) == (True, True)


def test_the_package_knows_prices_of_models() -> None:
    pytest.importorskip("genai_prices")
    assert prices_of("gpt-5.1-codex") == Prices(1.25, 10.0, 0.125)
    assert prices_of("openai/gpt-5.1-codex") == Prices(1.25, 10.0, 0.125)
    assert prices_of("no-such-model") is None
