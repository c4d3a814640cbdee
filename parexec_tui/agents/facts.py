"""Facts: what a coding CLI did, in the same words for all of them.

One JSON object a line. `fact` names the kind; what else it has stands beside each kind below. Whoever reads them
ignores kinds and fields that it does not know. The kinds of version 2, which added `last_word` and answers to `ask`:

    session    id, model, version, mode         the conversation, as soon as it is known
    text       text, sub                        what the agent says; sub: a subagent of it
    thought    text
    tool       id, name, does, arg, sub         a tool begins; does: run, read, write, search, fetch, delegate or ""
    tool_end   id, ok, text, code               it ended
    plan       done, of, now                    the agent's own list of things to do
    usage      inp, out, cached, turns, cost    figures of this attempt so far; the last one counts
    retry      n, of, wait, why, status         the provider is asked again
    denied     tool, text                       something was not allowed
    limit      status, until, window, used      what the provider says of the account's limits
    ask        id, what, choices                a question to a person
    ask_done   id, answer
    note       text                             whatever else was printed
    last_word  end, why, until, session, model, cost, inp, out, cached, turns, least, computed
                                                how it ended by what it said last, while its process lives
    end        end, why, until, session, model, cost, inp, out, cached, turns, least, computed
                                                the last one; `ends.ENDS`

Seconds are of the Unix clock (`until`) or lengths (`wait`), `cost` is in US dollars, `inp` are the tokens that were
read anew and `cached` those that came from a cache. A figure that is not known is absent, never 0. `least`: it ended
before it could tell all that it used; `computed`: the cost follows from tokens and prices (also of `usage`).

The minder writes `at` into each, when it was told; and into that of a tool `log`, the byte of the log of the attempt
at which its line begins.
"""

import json

VERSION = 2

Fact = dict[str, object]
Event = dict[str, object]
"""A JSON object that a CLI printed. Nothing is known of what its fields hold: ask with the functions below."""

ACTS = ("run", "read", "write", "search", "fetch", "delegate", "")
"""What a tool does, in the words of `does`."""


def fact(kind: str, /, **fields: object) -> Fact:
    """A fact without the fields that are not known (None)."""
    return {"fact": kind, **{name: value for name, value in fields.items() if value is not None}}


def encode(one: Fact) -> str:
    """A line of a file of facts, without its end."""
    return json.dumps(one, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace").decode()


def decode(line: str) -> Fact | None:
    """The fact of a line; None: it holds none."""
    one = parse_object(line)
    return one if one is not None and text_of(one, "fact") else None


def parse_object(line: str) -> Event | None:
    """The JSON object that a line holds, also behind something else; None: there is none."""
    at = line.find("{")
    if at < 0:
        return None
    try:
        parsed = json.loads(line[at:])
    except (ValueError, RecursionError):
        return None
    return parsed if isinstance(parsed, dict) else None


def text_of(event: Event, *path: str) -> str:
    """The text at a path of keys; empty where there is none."""
    value = value_of(event, *path)
    return value if isinstance(value, str) else ""


def table_of(event: Event, *path: str) -> Event:
    value = value_of(event, *path)
    return value if isinstance(value, dict) else {}


def tables_of(event: Event, *path: str) -> list[Event]:
    """The objects of the list at a path."""
    value = value_of(event, *path)
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def number_of(event: Event, *path: str) -> float | None:
    value = value_of(event, *path)
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value != value or abs(value) > _LARGEST:
        return None
    return value


def whole_of(event: Event, *path: str) -> int | None:
    value = number_of(event, *path)
    return None if value is None else int(value)


def figure_of(event: Event, name: str) -> float | None:
    """How much of something was used. What is less than nothing is not known."""
    value = number_of(event, name)
    return None if value is None or value < 0 else value


def count_of(event: Event, name: str) -> int | None:
    """The same of what is counted."""
    value = figure_of(event, name)
    return None if value is None else int(value)


def choices_of(event: Event) -> tuple[str, ...]:
    """What may be chosen to answer a question, as it is typed. What is no word is written as in JSON."""
    value = value_of(event, "choices")
    offered = [each for each in value if each is not None] if isinstance(value, list) else []
    words = (each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in offered)
    return tuple(each for each in words if each.strip())


def value_of(event: Event, *path: str) -> object:
    value: object = event
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value


_LARGEST = 1e15
"""Larger numbers are no seconds, tokens or dollars."""
