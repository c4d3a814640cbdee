"""All of one call of a tool, found by its line in the log."""

from pathlib import Path

import pytest

from parexec_tui.agents.facts import encode, fact
from parexec_tui.outputs import tool_calls
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.outputs.tool_calls import Place, ToolCall, tool_call
from tests.agents.recorded import lines_of, read


@pytest.mark.parametrize(
    ("name", "asked", "printed"),
    [
        ("claude/tool", "command: echo hi > a.txt; cat a.txt", "content: hi"),
        ("codex/tool", "command: /bin/bash -lc 'echo hi > a.txt; cat a.txt'", "aggregated_output: hi"),
        ("gemini/tool", "command: echo hi > a.txt; cat a.txt", "output: hi"),
        ("opencode/tool", "command: echo hi > a.txt; cat a.txt", "output: hi"),
    ],
)
def test_what_each_cli_printed_of_a_call(tmp_path: Path, name: str, asked: str, printed: str) -> None:
    (tmp_path / "stream").write_text("\n".join(lines_of(name)) + "\n")
    (tmp_path / "facts").write_text("".join(encode({**each, "at": 5.0}) + "\n" for each in read(name, 0)[0]))
    call = of(tmp_path, 1)
    shown = [line.strip() for line in lines(call)]
    assert (call.number, call.of, call.became) == (1, 1, "ok after 0.00s")
    assert asked in shown
    assert printed in shown


def test_a_call_is_found_by_where_its_line_is(tmp_path: Path) -> None:
    told = [fact("tool", id=f"t{at}", name="Bash", arg=f"step {at}", log=at * 100) for at in range(5)]
    (tmp_path / "facts").write_text("".join(encode(each) + "\n" for each in told))
    assert number(tmp_path, Place(100, 350, is_last=False)) == 2
    assert number(tmp_path, Place(100, 350, is_last=True)) == 4
    assert number(tmp_path, Place(310, 390, is_last=False)) == 4, "none is in sight: the one before"
    assert number(tmp_path, Place(0, 0, is_last=False)) == 1
    assert tool_call(LocalOutput(tmp_path / "facts"), None, 6) is None
    assert of(tmp_path, 1).became == "has not ended so far"


def test_where_the_stream_is_gone_the_facts_say_what_they_know(tmp_path: Path) -> None:
    told = [
        fact("tool", id="1", name="sh", does="run", arg="make\nmake test", at=1.0),
        fact("tool_end", id="1", ok=False, code=2, text="one\n\x1b[31mtwo", at=3.0),
    ]
    (tmp_path / "facts").write_text("".join(encode(each) + "\n" for each in told))
    call = of(tmp_path, 1)
    assert call.became == "failed (2) after 2.0s"
    assert call.parts == (("sh", ("make", "make test")), ("output", ("one", "␛[31mtwo")))


def test_a_large_stream_is_read_in_pieces_and_a_long_call_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tool_calls, "_CHUNK", 1000)
    monkeypatch.setattr(tool_calls, "_LONGEST_EVENT", 500_000)
    output = "\n".join(f"line {at}" for at in range(tool_calls.LONGEST + 5))
    events = ["x" * 600_000, encode({"type": "tool_use", "id": "a", "text": "b"})]
    events += [encode({"type": "tool_result", "tool_use_id": "a", "content": [{"type": "text", "text": output}]})]
    (tmp_path / "stream").write_text("\n".join(events) + "\n")
    (tmp_path / "facts").write_text(encode(fact("tool", id="a")) + "\n")
    call = of(tmp_path, 1)
    assert call.is_cut
    assert lines(call)[:4] == ["text: b", "content:", "  line 0", "  line 1"]


def of(folder: Path, which: Place | int) -> ToolCall:
    stream = folder / "stream"
    call = tool_call(LocalOutput(folder / "facts"), LocalOutput(stream) if stream.exists() else None, which)
    assert call is not None
    return call


def number(folder: Path, place: Place) -> int:
    return of(folder, place).number


def lines(call: ToolCall) -> list[str]:
    return [line for _, part in call.parts for line in part]
