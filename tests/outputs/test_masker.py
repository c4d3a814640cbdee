"""What is masked of the output of a process, however it is cut into pieces."""

import base64
import html
import json
import os
import re
import shlex
import subprocess
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.outputs.masker import MASK, Stream, forms_of, masked

SECRET = "p'ä/+ss w0rd"
PEM = "-----BEGIN KEY-----\nMIIEvQIBADAN\nBgkqhkiG9w0B\n-----END KEY-----\n"


def in_pieces(data: bytes, secrets: list[bytes], sizes: list[int]) -> bytes:
    stream, told, at = Stream(forms_of(secrets)), b"", 0
    for size in sizes:
        told += stream.feed(data[at : at + size])
        at += size
    return told + stream.feed(data[at:]) + stream.end()


@given(
    st.lists(st.text("ab", min_size=4, max_size=8), min_size=1, max_size=3),
    st.text("abc", max_size=60),
    st.lists(st.integers(0, 5)),
)
def test_no_cut_shows_a_secret_and_none_changes_what_is_told(secrets: list[str], text: str, sizes: list[int]) -> None:
    plain = [secret.encode() for secret in secrets]
    data = text.encode()
    told = in_pieces(data, plain, sizes)
    assert told == in_pieces(data, plain, [])
    covered = bytearray(data)  # told anew, letter by letter
    for secret in plain:
        for at in range(len(data)):
            if data[at : at + len(secret)] == secret:
                covered[at : at + len(secret)] = b"*" * len(secret)
    parts = [part for part in bytes(covered).split(b"*") if part]
    assert [part for part in told.split(MASK) if part] == parts


def test_what_may_be_the_beginning_of_a_secret_waits_and_nothing_else() -> None:
    stream = Stream([b"secret"])
    assert stream.feed(b"the sec") == b"the "
    assert stream.feed(b"ond, a secre") == b"second, a "
    assert (stream.feed(b"t."), stream.feed(b"se"), stream.end()) == (b"***.", b"", b"se")


@pytest.mark.parametrize(
    "text",
    [
        SECRET,
        *(base64.b64encode(b"x" * n + SECRET.encode() + b"yz").decode() for n in range(4)),
        base64.urlsafe_b64encode(f"user:{SECRET}".encode()).decode(),
        SECRET.encode().hex(),
        quote(SECRET, safe=""),
        quote_plus(SECRET),
        json.dumps({"key": SECRET}),
        json.dumps({"key": SECRET}, ensure_ascii=False),
        shlex.quote(SECRET),
        "'" + SECRET.replace("'", "'\\''") + "'",
        repr(SECRET),
        repr(SECRET + '"'),
        html.escape(SECRET),
    ],
)
def test_a_secret_is_masked_in_the_forms_that_tools_give_it(text: str) -> None:
    told = masked(f"<{text}>", forms_of([SECRET.encode()]))
    assert "***" in told
    assert len(told) <= len("<eHh4>" + "***" + "..") + len('{"key": "') + 6
    assert "w0rd" not in told


def test_each_line_of_a_secret_of_several_is_masked() -> None:
    forms = forms_of([PEM.encode()])
    assert masked(PEM, forms) == "***\n"
    assert masked("one: BgkqhkiG9w0B\r\n MIIEvQIBADAN", forms) == "one: ***\r\n ***"


ODD = """p@ss w$rd"q'\\x`t!"""


@pytest.mark.parametrize("command", ["printf %q", "declare -p ODD", "export -p", "set", "printf '%s' \"${ODD@Q}\""])
def test_what_bash_makes_of_a_secret_is_masked(command: str) -> None:
    shown = subprocess.run(
        ("bash", "-c", f'{command} "$ODD"' if "%q" in command else command),
        env={"ODD": ODD, "PATH": os.environ["PATH"]},
        capture_output=True,
        check=True,
    )
    assert b"rd" in shown.stdout
    assert "rd" not in re.sub(r"(?m)^(?!.*ODD).*=.*$", "", masked(shown.stdout.decode(), forms_of([ODD.encode()])))


LONG = "".join(f"{n:x}Kq{n * 7919:x}" for n in range(24))


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([40, 60, 64, 76]), st.lists(st.integers(0, 30)))
def test_no_line_of_base64_shows_a_long_secret(before: int, after: int, columns: int, sizes: list[int]) -> None:
    plain = b"<" * before + LONG.encode() + b">" * after
    whole = base64.b64encode(plain)
    lines = b"".join(whole[at : at + columns] + b"\n" for at in range(0, len(whole), columns))
    told = in_pieces(lines, [LONG.encode()], sizes)
    assert told == in_pieces(lines, [LONG.encode()], [])
    shown = told.replace(MASK, b"\n").split()
    secret = whole[(before + 2) // 3 * 4 : (before + len(LONG)) // 3 * 4]
    assert not any(secret[at : at + 12] in line for line in shown for at in range(len(secret) - 11))
    assert MASK in told


def test_base64_of_something_else_stays_as_it_is() -> None:
    data = base64.encodebytes(bytes(range(256)) * 40)
    assert in_pieces(data, [LONG.encode()], [7] * 50) == data
