"""How far a program is, as its output tells, however its bytes come in."""

import time
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from parexec_tui.core.wire.protocol import Progress
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.text.progress import FIRST, NEWEST, ProgressReader, progress_of
from parexec_tui.text.words import printable, progress_text


def of(data: str | bytes, pattern: str = "") -> Progress | None:
    reader = ProgressReader(pattern)
    reader.feed(data.encode() if isinstance(data, str) else data)
    return reader.progress


TOLD = {
    "ninja": ("[2/7] cc a.o\n[3/7] link\n", "42% 3/7 link"),
    "ninja with a long command": (f"[12/300] g++ {'-Dx=1 ' * 500}a.cc\n", None),
    "bazel": ("[1,234 / 5,678] 12 actions running\n", "21% 1234/5678 12 actions running"),
    "docker": ("#5 [2/4] RUN make\n", "50% 2/4 RUN make"),
    "cmake": ("[ 42%] Building CXX object a.o\n", "42% Building CXX object a.o"),
    "cmake, the end": ("[100%] Built target a\n", "100% Built target a"),
    "TAP": ("TAP version 13\n1..8\nok 1 - opens\nnot ok 2 - reads\n", "25% 2/8 reads"),
    "TAP without numbers": ("1..4\nok\nok - b\nnot ok # TODO c\n", "75% 3/4 # TODO c"),
    "pytest": ("tests/test_a.py ..F...              [ 42%]\n", "42% tests/test_a.py"),
    "pytest -v": ("tests/test_a.py::test_b PASSED    [  7%]\n", "7% tests/test_a.py::test_b"),
    "pytest-xdist": ("[gw1] [ 42%] PASSED tests/test_a.py::test_b \n", "42% tests/test_a.py::test_b"),
    "tqdm": ("  0%|          | 0/100\r 42%|####2     | 42/100 [00:01<00:01, 41.2it/s]", "42% 42/100"),
    "tqdm with a name": ("train:  99%|████▉| 99/100 [00:01]\r", "99% 99/100 train"),
    "tqdm of bytes": ("model.bin:  42%|███   | 1.1G/2.6G [00:01]", "42% model.bin"),
    "cargo": ("   Compiling a v1.0\n    Building [====>   ] 42/100: a, b(build)\r", "42% 42/100 a, b(build)"),
    "the terminal": ("\x1b]9;4;1;42\x07", "42%"),
    "the terminal, ST": ("x\x1b]9;4;1;7\x1b\\y\n", "7%"),
    "the terminal, in trouble": ("\x1b]9;4;2;42\x07", "42%"),
    "the terminal, paused": ("\x1b]9;4;4;42\x07", "42%"),
    "the terminal before lines": ("\x1b]9;4;1;10\x07\n[3/7] link\n", "10%"),
    "the terminal is done": ("\x1b]9;4;1;10\x07\n[3/7] link\n\x1b]9;4;0;\x07", "42% 3/7 link"),
    "the terminal does not know": ("\x1b]9;4;1;10\x07\x1b]9;4;3\x07", ""),
    "colours": ("\x1b[32m[3/7]\x1b[0m link\n", "42% 3/7 link"),
    "a new phase": ("[7/7] link\n[1/3] test\n", "33% 1/3 test"),
    "not ended": ("[3/7] link\n[4/7] str", "57% 4/7 str"),
}

NOT_TOLD = (
    "the disk is 42% full\n",
    "see page 3/7\n",
    "took 3/7 of a second\n",
    "[8/7] too many\n",
    "[0/0] nothing\n",
    "[ 142%] too much\n",
    "ok\nnot ok 2\n",
    "12 ok\n",
    "2026-11-29 [INFO] 42%\n",
    "\x1b]9;5;1;42\x07",
    "",
    "\n\r\n",
)


@pytest.mark.parametrize("name", TOLD)
def test_what_is_told(name: str) -> None:
    data, expected = TOLD[name]
    found = of(data)
    if expected is None:
        assert found is not None
        assert (found.done, found.total) == (12, 300)
        assert len(found.step) <= 80
    else:
        assert (progress_text(found) if found is not None else "") == expected


@pytest.mark.parametrize("data", NOT_TOLD)
def test_what_tells_nothing_is_not_guessed_from(data: str) -> None:
    assert of(data) is None


@pytest.mark.parametrize(
    ("pattern", "data", "expected"),
    [
        ("epoch {n}/{m}", "loss 3\nEPOCH 1/9\nepoch 3/9 loss 0.1\n", "33% 3/9"),
        ("{percent}% {step}", "now 42.7% copying  files\n", "42% copying files"),
        ("{percent} %", "done: 42 %\n", "42%"),
        ("step {n} of {m}: {step}", "step 3 of   7: link a b\n", "42% 3/7 link a b"),
        ("({step}) {n}/{m}", "(warm up) 1/4\n", "25% 1/4 warm up"),
        ("epoch {n}/{m}", "[3/7] link\nno epoch\n", ""),
        ("off", "[3/7] link\n", ""),
        ("{n", "[3/7] link\n", ""),
    ],
)
def test_a_pattern_is_all_that_counts(pattern: str, data: str, expected: str) -> None:
    found = of(data, pattern)
    assert (progress_text(found) if found is not None else "") == expected


PIECES = st.sampled_from(
    [
        *(data.encode() for data, _ in TOLD.values()),
        *map(str.encode, NOT_TOLD),
        *(b"\r", b"\n", b"\xff\x00", b"x" * 300, b"[3/", b"7] ", b"\x1b]9;4;1", b";42\x07", b"1..9\n", b"ok 4\n"),
    ]
)


@given(st.lists(PIECES | st.binary(max_size=20), max_size=12), st.data(), st.sampled_from(["", "{n}/{m}", "off"]))
@example([b"x" * 500, b"\x1b]9;4;1;42\x07", b"y" * 900], None, "")
def test_it_is_the_same_however_the_bytes_are_cut(pieces: list[bytes], data: st.DataObject, pattern: str) -> None:
    whole = b"".join(pieces)
    reader = ProgressReader(pattern)
    at = 0
    while at < len(whole):
        step = data.draw(st.integers(1, 400)) if data is not None else 7
        reader.feed(whole[at : at + step])
        reader.progress  # noqa: B018 - to look changes nothing
        at += step
    assert reader.progress == of(whole, pattern)


@given(st.binary(max_size=2000), st.booleans())
def test_it_never_raises_and_is_safe_to_print(data: bytes, skips: bool) -> None:
    reader = ProgressReader()
    reader.feed(data)
    if skips:
        reader.skip()
    reader.feed(data)
    if (found := reader.progress) is not None:
        assert 0 <= found.percent <= 100
        assert found.step == printable(found.step)


def test_half_a_line_behind_what_was_left_out_is_not_read() -> None:
    reader = ProgressReader()
    reader.feed(b"[1/7] a\n[2/7")
    reader.skip()
    reader.feed(b"] [3/7] b\n")
    assert reader.progress == Progress(14, 1, 7, "a")
    reader.feed(b"[4/7] c\n")
    assert reader.progress == Progress(57, 4, 7, "c")


def test_what_is_kept_is_bounded() -> None:
    reader = ProgressReader()
    for _ in range(1000):
        reader.feed(b"x" * 1000)
    assert len(reader._line.text) < 1000
    reader.feed(b"\n[3/7] a\n")
    assert reader.progress == Progress(42, 3, 7, "a")


@pytest.mark.parametrize("pattern", ["{step}{n}/{m}", "a {step} b {n} c {m} d", "{n}{m}", "  {percent}  %  "])
def test_no_pattern_takes_long(pattern: str) -> None:
    reader = ProgressReader(pattern)
    began = time.process_time()
    for letter in (b"a", b"1", b" ", b"a "):
        reader.feed(letter * 1000 + b"\n")
    assert time.process_time() - began < 1


# -- of an output ----------------------------------------------------------------------------------------------


def test_of_a_long_output_the_start_and_the_end_are_read(tmp_path: Path) -> None:
    file = tmp_path / "log"
    file.write_bytes(b"1..9\n" + b"# a comment\n" * 10_000 + b"ok 3 - c\n")
    assert file.stat().st_size > FIRST + NEWEST
    assert progress_of(LocalOutput(file)) == Progress(33, 3, 9, "c")
    assert progress_of(LocalOutput(tmp_path / "none")) is None
