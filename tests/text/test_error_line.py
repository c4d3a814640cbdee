"""The line in which a failed attempt says what went wrong, found near the end of any output."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.outputs.gap import cut
from parexec_tui.outputs.local import LocalOutput
from parexec_tui.text import error_line as module
from parexec_tui.text.error_line import LOOKED_AT, MAX_LENGTH, error_line, error_line_of
from parexec_tui.text.search_terms import ERRORS
from parexec_tui.text.words import printable


def of(text: str) -> str:
    return error_line(text.encode(), begins=True)


PYTHON = """Traceback (most recent call last):
  File "train.py", line 3, in <module>
    import foo
"""

EXAMPLES = {
    "python": (PYTHON + "ModuleNotFoundError: No module named 'foo'\n", "ModuleNotFoundError: No module named 'foo'"),
    "no Error in its name": (PYTHON + "queue.Empty\n\ncleaning up\n", "queue.Empty"),
    "a compiler below make": (
        "cc -c a.c\na.c:3:5: error: 'x' undeclared\n    3 |     x\nmake[1]: *** [Makefile:2: a.o] Error 1\n"
        "make: *** [Makefile:9: all] Error 2\n",
        "a.c:3:5: error: 'x' undeclared",
    ),
    "a linker below make": (
        "ld: main.o: undefined reference to `foo'\ncollect2: error: ld returned 1 exit status\n"
        "make: *** [Makefile:2: all] Error 1\nbye\n",
        "ld: main.o: undefined reference to `foo'",
    ),
    "nothing but make": (
        "\nmake[1]: *** [Makefile:2: a] Error 1\nmake: *** [Makefile:2: all] Error 2\n",
        "make: *** [Makefile:2: all] Error 2",
    ),
    "ninja": (
        "FAILED: a.o\na.cc:1:1: error: no\n1 error generated.\nninja: build stopped: subcommand failed.\n",
        "a.cc:1:1: error: no",
    ),
    "cargo": (
        "error[E0425]: cannot find value `x`\nerror: aborting due to 1 previous error\n"
        "For more information about this error, try `rustc --explain E0425`.\n"
        "error: could not compile `a` (bin) due to 1 previous error\n",
        "error[E0425]: cannot find value `x`",
    ),
    "by a signal": (
        "a: a.c:3: main: Assertion `x' failed.\nAborted (core dumped)\n",
        "a: a.c:3: main: Assertion `x' failed.",
    ),
    "by a signal, of bash": ("step 3\nsh: line 1: 1234 Killed    ./train\n", "step 3"),
    "nothing but a signal": ("Killed\n", ""),
    "TAP": ("1..2\nok 1\nnot ok 2 - adds\n", "not ok 2 - adds"),
    "good news behind it": ("fatal: no such ref\n0 errors, no failures\nbye\n", "fatal: no such ref"),
    "no word for an error": ("one\ntwo\n\n  \n", "two"),
    "colours": ("\x1b[1;31merror:\x1b[0m it \x1b[4mbroke\x1b[0m\n", "error: it broke"),
    "a bar": ("10%|#   |\r99%|####|\rRuntimeError: out\n", "RuntimeError: out"),
    "a bar that rewrote it": ("error: gone\rall is well, and longer\n", "all is well, and longer"),
    "aligned": ("ERROR\t\tdisk     full  \n", "ERROR disk full"),
    "a title": ("\x1b]0;error\x07hello\n", "hello"),
    "nothing": ("", ""),
    "blank": ("\n \n\t\n", ""),
    "dos": ("Error: x\r\n", "Error: x"),
}


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples(name: str) -> None:
    text, expected = EXAMPLES[name]
    assert of(text) == expected
    assert of(text.removesuffix("\n")) == expected


def test_bytes_that_are_no_text_are_no_error_line() -> None:
    assert error_line(b"fine\n\x00\x01\x02error\xff\xfe\x00\n", begins=True) == "fine"
    assert error_line("Fehler: größe, error\n".encode("latin-1"), begins=True) == "Fehler: größe, error"
    assert error_line(b"error: \xff\xe2\x82 \xe2\x82\xac\n", begins=True).startswith("error: ")


def test_a_long_line_is_cut_around_what_it_says() -> None:
    line = of(f'{{"context": "{"x" * 50_000}", "level": "error", "text": "disk full"}}')
    assert line.startswith("...")
    assert '"level": "error", "text": "disk full"' in line
    assert len(line) <= MAX_LENGTH
    assert of("error: " + "y" * 500) == "error: " + "y" * (MAX_LENGTH - 10) + "..."


def test_a_bar_of_any_length_is_passed_over() -> None:
    bar = "".join(f"{n}%|{'#' * (n % 50)}|\r" for n in range(5_000))
    assert of(f"{bar}\nValueError: x\n{bar}done") == "ValueError: x"
    assert of(f"{bar}ValueError: x") == "ValueError: x"


def test_half_a_line_is_none() -> None:
    assert error_line(b"rror: half of a line\nlast\n", begins=False) == "last"
    assert error_line(b"error: all of it\nlast\n", begins=True) == "error: all of it"


def test_many_lines_in_vain_are_not_tried_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = 0
    text = module._text

    def counted(line: bytes, at: int) -> str:
        nonlocal tried
        tried += 1
        return text(line, at)

    monkeypatch.setattr(module, "_text", counted)
    assert of("error: x\n" + "failover\n" * 5_000 + "end\n") == "end"
    assert tried < 250


@given(st.binary(max_size=300), st.booleans())
def test_it_is_one_short_line_that_is_safe_to_print(data: bytes, begins: bool) -> None:
    line = error_line(data, begins=begins)
    assert line == printable(line) == line.strip()
    assert "\n" not in line
    assert len(line) <= MAX_LENGTH


@given(
    st.lists(st.sampled_from(["fine", "", "error: a", "failover", "not ok 3", "x" * 300, "no errors"]), max_size=12)
)
def test_without_other_knowledge_it_is_what_the_key_finds(lines: list[str]) -> None:
    """The key E searches for ERRORS from the end."""
    matching = [line for line in lines if ERRORS.pattern.search(line)]
    if matching:
        assert of("\n".join(lines)) == matching[-1]


# -- of an output ----------------------------------------------------------------------------------------------


def output(folder: Path, data: bytes) -> LocalOutput:
    file = folder / "log"
    file.write_bytes(data)
    return LocalOutput(file)


def test_it_is_looked_for_near_the_end(tmp_path: Path) -> None:
    assert error_line_of(output(tmp_path, b"error: far\n" + b"fine\n" * (LOOKED_AT // 5))) == "fine"
    assert error_line_of(output(tmp_path, b"error: near\n" + b"fine\n" * (LOOKED_AT // 5 - 3))) == "error: near"


def test_a_gap_is_no_text(tmp_path: Path) -> None:
    limit = 64 * 1024
    log = output(tmp_path, b"".join(b"error: line %05d\n" % n for n in range(9_000)))
    assert cut(log.name, limit) is not None
    with log.path.open("ab") as file:
        file.write(b"x" * 20 + b"\nlast\n")
    assert log.tail(1 << 20).count(b"\0") == 0
    assert error_line_of(log) == "error: line 08999"


def test_what_is_no_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "log")
    with pytest.raises(OSError, match=r"."):
        error_line_of(LocalOutput(tmp_path / "log"))
