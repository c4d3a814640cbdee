"""Masks secrets in the output of a process, before it reaches its log.

A process that is given secrets writes into a pipe. A masker reads it and writes the log; the secrets are never on the
disk. It is a program of its own, so that it lives on when its engine dies, as the process does, and it ends when
nobody has the other end of the pipe any more. It needs the standard library only: it is started as a file.

What is masked: each secret as it is, each line of one that has several, and both in base64 (at any place in what is
encoded), in hexadecimal, as part of a URL, of a text in JSON, and of a word in quotes of a shell, Python or HTML. Of
what line ends cut, pieces of base64 are masked too.
"""

import base64
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator
from urllib.parse import quote, quote_plus

MASK = b"***"

LEAST = 4
"""Bytes that a secret must have: a shorter one would be found in everything."""

SECRET_TOLD = b"\0secret"
"""What a file of values has in place of values if one of them had a secret in it."""

SECRET_GENERATED = b"\0a secret stood in these tickets\n"
"""The same of a file of tickets."""

_PIECE = 12
"""Letters of base64 that are masked wherever they stand: 9 bytes. base64 and openssl cut it into lines."""

_STRIDE = _PIECE // 2
"""Each piece has this many letters at a place that is a multiple of it: so few places are looked at."""

_LETTERS = re.compile(rb"[A-Za-z0-9+/]{%d,}" % _PIECE)
_LAST_LETTERS = re.compile(rb"[A-Za-z0-9+/]{1,%d}\Z" % (_PIECE - 1))

_CHUNK = 1 << 16
_RETRY, _TRIES = 0.1, 6000
"""Seconds between two tries to write on a disk that takes nothing, and how many there are once all was read."""


class Forms(tuple[bytes, ...]):
    """What is masked, the longest first."""

    encoded: bytes = b""
    """And all of `_PIECE` letters that stand in this: base64 of the secrets, with blanks between."""
    seeds: frozenset[bytes] = frozenset()
    """All that stands in `_STRIDE` letters of it."""

    def with_pieces(self, encoded: Iterable[bytes]) -> "Forms":
        """The same with the pieces of these."""
        long = [text for text in encoded if len(text) >= _PIECE]
        self.encoded = b" ".join(long)
        self.seeds = frozenset(text[at : at + _STRIDE] for text in long for at in range(len(text) - _STRIDE + 1))
        return self

    def besides(self, more: Iterable[bytes]) -> "Forms":
        """The same, and these."""
        both = Forms(sorted({*self, *more}, key=_longest_first))
        both.encoded, both.seeds = self.encoded, self.seeds
        return both


def forms_of(secrets: Iterable[bytes]) -> Forms:
    """All that is to be masked for these secrets."""
    found: set[bytes] = set()
    encoded: list[bytes] = []
    for secret in secrets:
        encoded.extend(_encoded(secret.strip()))
        for text in dict.fromkeys((secret.strip(), *map(bytes.strip, secret.splitlines()))):
            if len(text) >= LEAST:
                found.update(form for form in _forms(text) if len(form) >= LEAST)
    return Forms(sorted(found, key=_longest_first)).with_pieces(encoded)


def _longest_first(form: bytes) -> tuple[int, bytes]:
    return -len(form), form


def _encoded(text: bytes) -> Iterator[bytes]:
    """What base64 makes of a secret alone, whatever stands before and after it: three times, by where it begins."""
    for before in range(3):
        whole = base64.b64encode(b"\0" * before + text).rstrip(b"=")[(0, 2, 3)[before] :]
        yield whole[: len(whole) - ((before + len(text)) % 3 > 0)]


def _forms(text: bytes) -> Iterator[bytes]:
    yield text
    for before in range(3):
        # What stands before and after the secret has a part in the first and the last letters.
        at_end = base64.b64encode(b"\0" * before + text)[(0, 2, 3)[before] :]
        unpadded = at_end.rstrip(b"=")
        for form in (at_end, unpadded, unpadded[: len(unpadded) - ((before + len(text)) % 3 > 0)]):
            yield form
            yield form.translate(bytes.maketrans(b"+/", b"-_"))
    yield text.hex().encode()
    yield text.hex().upper().encode()
    yield quote(text, safe="").encode()
    yield quote(text).encode()
    yield quote_plus(text).encode()
    yield text.replace(b"'", b"'\\''")
    yield text.replace(b"'", b"'\"'\"'")
    for quoted in (rb'(["\\$`])', rb"([^\w@%+=:,./-])"):  # within double quotes, and without any (printf %q)
        yield re.sub(quoted, rb"\\\1", text)
    unicode = text.decode(errors="surrogateescape")
    in_html = unicode.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    yield from (
        form.encode(errors="surrogateescape")
        for form in (
            in_html,
            in_html.replace('"', "&quot;").replace("'", "&#x27;"),
            repr(unicode)[1:-1],
            repr(unicode + "'\"")[1:-4],
            repr(text)[2:-1],
        )
    )
    for ascii_only in (True, False):
        yield json.dumps(unicode, ensure_ascii=ascii_only)[1:-1].encode(errors="surrogateescape")


class Stream:
    """Masks what comes piece by piece, however the pieces cut a secret."""

    def __init__(self, forms: Iterable[bytes]) -> None:
        """`forms`: what is masked, see `forms_of`."""
        self._forms = forms if isinstance(forms, Forms) else Forms(forms)
        self._kept = b""
        """What came last, and may be the beginning of a secret."""
        self._covered = 0
        """Bytes at the beginning of that which are masked already."""
        self.has_masked = False
        """Whether there was a secret in what was told so far."""

    def feed(self, data: bytes) -> bytes:
        """What can be told of all that came, without secrets."""
        data = self._kept + data
        keep = self._may_go_on_from(data)
        return self._told(data, keep)

    def end(self) -> bytes:
        """What is left when nothing more comes."""
        return self._told(self._kept, len(self._kept))

    def _may_go_on_from(self, data: bytes) -> int:
        """Where the end of the data begins that may be the beginning of a secret."""
        keep = len(data)
        for form in self._forms:
            at = data.find(form[:1], max(0, len(data) - len(form) + 1), keep)
            while at >= 0 and not form.startswith(data[at:]):
                at = data.find(form[:1], at + 1, keep)
            if at >= 0:
                keep = at
        if self._forms.encoded and (last := _LAST_LETTERS.search(data, max(0, len(data) - _PIECE + 1))):
            keep = min(
                keep,
                next((at for at in range(last.start(), len(data)) if data[at:] in self._forms.encoded), keep),
            )
        return keep

    def _told(self, data: bytes, keep: int) -> bytes:
        spans = self._spans(data, keep)
        told: list[bytes] = []
        at = 0
        for begin, end in spans:
            if begin > at:
                told.append(data[at:begin])
            if not (self._covered and begin == 0):  # else it was told as masked with what came before
                told.append(MASK)
                self.has_masked = True
            at = end
        if at < keep:
            told.append(data[at:keep])
        self._covered = max(0, at - keep)
        self._kept = data[keep:]
        return b"".join(told)

    def _spans(self, data: bytes, keep: int) -> list[tuple[int, int]]:
        """Where secrets are that begin before `keep`: joined where they overlap or touch."""
        found = [(0, self._covered)] if self._covered else []
        for form in self._forms:
            at = data.find(form)
            while 0 <= at < keep:
                found.append((at, at + len(form)))
                at = data.find(form, at + 1)
        if self._forms.encoded:
            found.extend(span for span in self._pieces(data) if span[0] < keep)
        if not found:
            return found
        found.sort()
        joined = [found[0]]
        for begin, end in found[1:]:
            if begin <= joined[-1][1]:
                joined[-1] = joined[-1][0], max(joined[-1][1], end)
            else:
                joined.append((begin, end))
        return joined

    def _pieces(self, data: bytes) -> Iterator[tuple[int, int]]:
        """Where pieces of base64 are."""
        encoded, seeds = self._forms.encoded, self._forms.seeds
        for run in _LETTERS.finditer(data):
            for seed in range(run.start(), run.end() - _STRIDE + 1, _STRIDE):
                if data[seed : seed + _STRIDE] in seeds:
                    for at in range(max(run.start(), seed - _STRIDE), seed + 1):
                        piece = data[at : at + _PIECE]
                        if len(piece) == _PIECE and piece in encoded:
                            yield at, at + _PIECE


def masked(text: str, forms: Iterable[bytes]) -> str:
    """A whole text without secrets."""
    stream = Stream(forms)
    data = stream.feed(text.encode(errors="surrogateescape")) + stream.end()
    return data.decode(errors="surrogateescape")


def pack(secrets: dict[str, bytes]) -> bytes:
    """What a masker reads on its standard input."""
    return b"".join(f"{name}\n{value.hex()}\n".encode() for name, value in secrets.items())


def main() -> None:
    """Read secrets on standard input, then the pipe whose descriptor is the last argument; write to standard output.

    The two before are the files in which the process tells values and generates tickets, or empty: if a secret is in
    one, what stands there is replaced.
    """
    lines = sys.stdin.buffer.read().split()
    names, values = lines[::2], lines[1::2]
    forms = forms_of(bytes.fromhex(value.decode()) for value in values)
    stream = Stream(forms)
    told, generated, pipe = sys.argv[1], sys.argv[2], int(sys.argv[3])
    head = b"parexec: masked in this output: " + b", ".join(names) + b"\n"
    while data := os.read(pipe, _CHUNK):
        _write(head + stream.feed(data))
        head = b""
    _hide(told, SECRET_TOLD, forms)
    _hide(generated, SECRET_GENERATED, forms)
    _write(stream.end(), tries=_TRIES)


def _hide(file: str, note: bytes, forms: tuple[bytes, ...]) -> None:
    """Put the note in place of all that a file has, if a secret is in it: who reads the file keeps what it has."""
    if not file:
        return
    try:
        fd = os.open(file, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        stream = Stream(forms)
        while data := os.read(fd, _CHUNK):
            stream.feed(data)
        stream.end()
        if stream.has_masked:
            os.ftruncate(fd, 0)
            os.pwrite(fd, note, 0)
    except OSError:
        return
    finally:
        os.close(fd)


def _write(data: bytes, tries: int | None = None) -> None:
    """Write all of it. On a disk that takes nothing, wait: so does who writes into the pipe."""
    while data:
        try:
            data = data[os.write(1, data) :]
        except OSError:
            if tries is not None and (tries := tries - 1) <= 0:
                return
            time.sleep(_RETRY)


if __name__ == "__main__":
    import signal

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_IGN)
    main()
