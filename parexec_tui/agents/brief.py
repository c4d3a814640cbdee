"""The brief: all that a minder is told of its attempt, in a file that only its owner can read.

It holds no key and no token, and nothing of it stands in an argument, which `ps` shows to all.
"""

import json
from typing import NamedTuple

from parexec_tui.agents.facts import Event, number_of, parse_object, table_of, text_of, value_of, whole_of
from parexec_tui.agents.streams.reader import NOTHING_BEFORE, Figures, Prices
from parexec_tui.agents.streams.troubles import NO_PATTERNS, Patterns

KINDS = ("claude", "codex", "gemini", "opencode", "acp", "facts")
"""Which CLI it is; `facts`: a wrapper that writes facts itself."""

PERMISSIONS = ("read", "sandbox", "edit", "all")


STREAM_LIMIT = 64 << 20
"""Bytes of each of the raw files, without another word."""


class Caps(NamedTuple):
    """What an attempt may use at most; None: as much as it wants."""

    cost: float | None = None
    """US dollars."""
    tokens: int | None = None
    """Read anew and written together."""
    turns: int | None = None
    """After so many a person is asked."""


NO_CAPS = Caps()


class Brief(NamedTuple):
    """What a minder is to do."""

    kind: str
    prompt: str
    """What the agent is told in a new conversation."""
    facts: str
    """The file that facts are written to."""
    stream: str
    """The file that gets what the CLI prints, as it is."""
    errors: str
    """The file that gets what it prints on standard error."""
    answers: str = ""
    """The file in which answers to its questions appear, a JSON object a line: `id`, `answer`."""
    program: tuple[str, ...] = ()
    """Program and first arguments; empty: that of the kind."""
    args: tuple[str, ...] = ()
    """A person's own arguments, behind ours."""
    model: str = ""
    permissions: str = "sandbox"
    asks: bool = False
    """Whether a person is asked for what is not permitted."""
    allow: tuple[str, ...] = ()
    """What a person allowed besides, in the words of the CLI."""
    conversation: str = ""
    """The id of the conversation: of the one to go on with, or of the new one where the CLI lets us choose."""
    goes_on: bool = False
    prompt_going_on: str = ""
    """What the agent is told if the conversation goes on."""
    attempt: int = 1
    caps: Caps = NO_CAPS
    before: Figures = NOTHING_BEFORE
    """What the conversation had used before."""
    prices: Prices | None = None
    """What tokens cost; None: not known."""
    patterns: Patterns = NO_PATTERNS
    silence: float | None = None
    """Seconds without a fact, while no tool runs, after which the CLI is taken to wait for its provider; None: there
    are none."""
    stream_limit: int = STREAM_LIMIT
    """Bytes of each of the raw files."""
    secrets: tuple[str, ...] = ()
    """The variables whose values are to be in nothing that is written."""


def encode(brief: Brief) -> str:
    told = brief._asdict()
    return json.dumps(
        {
            **told,
            "caps": brief.caps._asdict(),
            "before": brief.before._asdict(),
            "prices": brief.prices and brief.prices._asdict(),
        },
        ensure_ascii=False,
    )


def decode(text: str) -> Brief:
    """Raises ValueError if the text is no brief."""
    told = parse_object(text)
    if told is None or text_of(told, "kind") not in KINDS:
        raise ValueError("this is no brief")
    caps, before, patterns = table_of(told, "caps"), table_of(told, "before"), table_of(told, "patterns")
    return Brief(
        kind=text_of(told, "kind"),
        prompt=text_of(told, "prompt"),
        facts=text_of(told, "facts"),
        stream=text_of(told, "stream"),
        errors=text_of(told, "errors"),
        answers=text_of(told, "answers"),
        program=_texts(told, "program"),
        args=_texts(told, "args"),
        model=text_of(told, "model"),
        permissions=text_of(told, "permissions") or "sandbox",
        asks=told.get("asks") is True,
        allow=_texts(told, "allow"),
        conversation=text_of(told, "conversation"),
        goes_on=told.get("goes_on") is True,
        prompt_going_on=text_of(told, "prompt_going_on"),
        attempt=whole_of(told, "attempt") or 1,
        caps=Caps(number_of(caps, "cost"), whole_of(caps, "tokens"), whole_of(caps, "turns")),
        before=Figures(
            inp=whole_of(before, "inp"),
            out=whole_of(before, "out"),
            cached=whole_of(before, "cached"),
            cost=number_of(before, "cost"),
        ),
        prices=_prices(table_of(told, "prices")),
        patterns={end: _texts(patterns, end) for end in patterns},
        silence=number_of(told, "silence"),
        stream_limit=whole_of(told, "stream_limit") or STREAM_LIMIT,
        secrets=_texts(told, "secrets"),
    )


def _prices(told: Event) -> Prices | None:
    inp, out, cached = (number_of(told, name) for name in Prices._fields)
    return None if inp is None or out is None else Prices(inp, out, inp if cached is None else cached)


def _texts(told: Event, name: str) -> tuple[str, ...]:
    value = value_of(told, name)
    return tuple(each for each in value if isinstance(each, str)) if isinstance(value, list) else ()
