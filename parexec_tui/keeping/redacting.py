"""Masks the values of secret-like variables wherever they occur: in plan, events, logs and names.

Variables are those that the plan sets (`env`, and `NAME=VALUE` in its commands), those of whoever exports, and
passwords in URLs. A value is looked for as it is, and as it is written in JSON, URLs, shells and base64.

The mask is of a character that no value has. So none can come into being where something was masked.
"""

import json
import re
import shlex
from base64 import b64encode
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from typing import Any, Final
from urllib.parse import quote, quote_plus

import msgspec
from msgspec import inspect

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.state import events as ev
from parexec_tui.core.state.status import End, Status
from parexec_tui.keeping.archive import ArchiveError, Masked
from parexec_tui.registry.attempts import AttemptFact

SHORTEST: Final = 6
"""Characters of a value that is looked for: a shorter one occurs in many words."""

_SHORTEST_DIGITS: Final = 8
_SHORTEST_ENCODED: Final = 8
_SHORTEST_LINE: Final = 16
"""Characters of a line that is looked for by itself, of a value of several lines: a private key."""

_PARTS: Final = ("TOKEN", "SECRET", "PASSWORD", "PASSWD", "PASSPHRASE", "CREDENTIAL", "PRIVATE")
_WORDS: Final = frozenset(("AUTH", "AUTHORIZATION", "COOKIE", "COOKIES", "KEYS", "PASS", "PAT", "PWD"))
_HARMLESS: Final = frozenset(("OLDPWD", "PWD", "SSH_AUTH_SOCK", "TOKENIZERS_PARALLELISM", "XAUTHORITY"))
_COMMON: Final = frozenset(
    (
        *("access", "always", "apikey", "bearer", "changeme", "default", "development", "disabled", "enabled"),
        *("example", "localhost", "master", "native", "nothing", "password", "plugin", "private", "production"),
        *("public", "secret", "staging", "system", "unknown"),
    )
)

_assignment = re.compile(r"""\b([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|[^\s;&|()<>"'`]+)""")
_password = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/:@]*:([^\s/@]+)@")
_split = re.compile(r"[^A-Za-z0-9]+").split


def is_secret(name: str) -> bool:
    """Whether a variable of this name has a value that nobody else should know."""
    upper = name.upper()
    if upper in _HARMLESS:
        return False
    return any(part in upper for part in _PARTS) or any(
        word in _WORDS or word.endswith("KEY") for word in _split(upper)
    )


@lru_cache(1)
def words_of_ours() -> frozenset[str]:
    """The words that plans, events and attempts are written with: the names of fields, and what may stand in some."""
    words: set[str] = set()
    seen: set[type] = set()

    def note(found: object) -> None:
        match found:
            case inspect.StructType():
                if found.cls in seen:
                    return
                seen.add(found.cls)
                words.update(field.encode_name for field in found.fields)
                words.add(str(found.tag))
                for field in found.fields:
                    note(field.type)
            case inspect.EnumType():
                words.update(str(each.value) for each in found.cls)
            case inspect.LiteralType():
                words.update(map(str, found.values))
            case inspect.UnionType():
                for each in found.types:
                    note(each)
            case inspect.DictType():
                note(found.key_type)
                note(found.value_type)
            case inspect.TupleType():
                for each in found.item_types:
                    note(each)
            case inspect.ListType() | inspect.VarTupleType() | inspect.SetType() | inspect.FrozenSetType():
                note(found.item_type)
            case _:
                pass

    for each in inspect.multi_type_info((ev.AnyEvent, Plan, AttemptFact)):
        note(each)
    return frozenset(words | set(map(str, End)) | set(map(str, Status)))


class Secrets:
    """Values that are masked."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """{value: the variable that has it}"""
        self._kept: dict[str, str] = {}
        """{variable: why a value of it is not looked for}"""

    def note(self, name: str, value: str) -> None:
        """Mask this value, unless it is too short or too common to be looked for."""
        value = value.strip()
        if not value or value in self._names:
            return
        if len(value) < SHORTEST or (value.isdigit() and len(value) < _SHORTEST_DIGITS):
            self._kept[name] = "it is too short to be looked for elsewhere"
        elif value.lower() in _COMMON or value in words_of_ours():
            self._kept[name] = "it is too common to be looked for elsewhere"
        else:
            self._names[value] = name

    def note_environment(self, environment: Mapping[str, str]) -> None:
        """Mask what is secret among these variables."""
        for name, value in environment.items():
            if is_secret(name):
                self.note(name, value)
            self._note_passwords(name, value)

    def note_json(self, value: object) -> None:
        """Mask what is secret in a plan, or in an event."""
        if isinstance(value, dict):
            for key, each in value.items():
                if key == "env" and isinstance(each, dict):
                    self.note_environment({name: text for name, text in each.items() if isinstance(text, str)})
                self.note_json(each)
        elif isinstance(value, list):
            for each in value:
                self.note_json(each)
        elif isinstance(value, str) and ("=" in value or "@" in value):
            for match in _assignment.finditer(value):
                name, text = match[1], match[2].strip("\"'")
                if is_secret(name) and not text.startswith(("$", "`")):
                    self.note(name, text)
            self._note_passwords("a URL", value)

    def _note_passwords(self, name: str, value: str) -> None:
        for match in _password.finditer(value):
            if not match[1].startswith("$"):
                self.note(name, match[1])

    def masks(self) -> "Masks":
        """What masks all that was noted."""
        return Masks(self._names, self._kept)


class Masks:
    """Masks values. Counts how often, until `told`."""

    def __init__(self, names: Mapping[str, str], kept: Mapping[str, str]) -> None:
        self._kept = kept
        self._names = names
        self.forms = {form: name for value, name in names.items() for form in _forms(value)}
        """{bytes that are masked: the variable that has this value}"""
        self.longest = max(map(len, self.forms), default=1)
        self.mask = _mask(names)
        self.times: Counter[str] = Counter()

    @property
    def is_needed(self) -> bool:
        """Whether anything is masked."""
        return bool(self._names or self._kept)

    def told(self) -> tuple[Masked, ...]:
        """What was masked up to now, and what was not."""
        names = dict.fromkeys([*self._names.values(), *self._kept])
        return tuple(Masked(name, self.times[name], self._kept.get(name, "")) for name in names)

    def occur_in(self, data: bytes) -> bool:
        """Whether there is something to mask."""
        return any(form in data for form in self.forms)

    def stream(self, parts: Iterable[bytes]) -> Iterator[bytes]:
        """The same bytes, masked, also where a value begins in one part and ends in another."""
        if not self.forms:
            yield from parts
            return
        masking = _Masking(self)
        for part in parts:
            if done := masking.take(part):
                yield done
        if done := masking.take(b"", is_last=True):
            yield done

    def text(self, text: str) -> str:
        data = text.encode("utf-8", "surrogatepass")
        if not self.occur_in(data):
            return text
        return _Masking(self).take(data, is_last=True).decode("utf-8", "surrogatepass")

    def json(self, data: bytes) -> bytes:
        """A JSON value, masked in its texts, those that are keys too. Raises ArchiveError if two keys become one."""
        if not self.is_needed or not (self.occur_in(data) or b"\\" in data or b'"env"' in data):
            return data
        return msgspec.json.encode(self._value(msgspec.json.decode(data)))

    def _value(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, list):
            return [self._value(each) for each in value]
        if isinstance(value, dict):
            ours = words_of_ours()
            found = {key if key in ours else self.text(key): self._member(key, each) for key, each in value.items()}
            if len(found) < len(value):
                raise ArchiveError(
                    "two names differ only in what is masked: rename one of them, or do without --redact"
                )
            return found
        return value

    def _member(self, key: str, value: Any) -> Any:
        if key == "env" and isinstance(value, dict):
            value = {name: self._set(name, text) for name, text in value.items()}
        return self._value(value)

    def _set(self, name: str, value: Any) -> Any:
        """The value of a variable; masked here also if it is not looked for elsewhere."""
        is_kept = isinstance(value, str) and value and value.strip() not in self._names
        return self.mask if is_kept and is_secret(name) else value


class _Masking:
    """Goes through bytes part by part. What may be the beginning of a value is held back until the next part."""

    def __init__(self, masks: Masks) -> None:
        self._masks = masks
        self._rest = b""
        self._covered = 0
        """Bytes at the start of the rest that belong to a value that began before it; its mask is written."""

    def take(self, part: bytes, *, is_last: bool = False) -> bytes:
        masks, data = self._masks, self._rest + part
        end = len(data) if is_last else max(0, len(data) - masks.longest + 1)
        parts: list[bytes] = []
        at = self._covered
        for start, stop, name in self._found(data, end):
            if start >= at:
                parts += (data[at:start], masks.mask.encode())
                masks.times[name] += 1
            at = max(at, stop)
        if at < end:
            parts.append(data[at:end])
        self._rest, self._covered = data[end:], max(0, at - end)
        return b"".join(parts)

    def _found(self, data: bytes, end: int) -> list[tuple[int, int, str]]:
        """Where values begin before `end`, and where they stop."""
        found = []
        for form, name in self._masks.forms.items():
            start = data.find(form)
            while 0 <= start < end:
                found.append((start, start + len(form), name))
                start = data.find(form, start + 1)
        return sorted(found)


def _mask(values: Iterable[str]) -> str:
    known = "".join(values)
    character = next(each for each in map(chr, (0x2A, *range(0x2588, 0xD800))) if each not in known)
    return character * 3


def _forms(value: str) -> Iterator[bytes]:
    """How a value may be written."""
    raw = value.encode("utf-8", "surrogatepass")
    texts = [
        json.dumps(value)[1:-1],
        json.dumps(value, ensure_ascii=False)[1:-1],
        quote(raw, safe=""),
        quote(raw),
        quote_plus(raw),
        shlex.quote(value).strip("'"),
        *(line.strip() for line in value.splitlines() if len(line.strip()) >= _SHORTEST_LINE),
    ]
    forms = {raw: None} | dict.fromkeys(text.encode("utf-8", "surrogatepass") for text in texts)
    for shift in range(3):  # in base64 it depends on what stands before
        data = bytes(shift) + raw
        whole = len(data) // 3 * 4 + len(data) % 3
        coded = b64encode(data)[(0, 2, 3)[shift] : whole]
        if len(coded) >= _SHORTEST_ENCODED:
            forms |= {coded: None, coded.replace(b"+", b"-").replace(b"/", b"_"): None}
    return (form for form in forms if len(form) >= SHORTEST)
