"""What a provider's error means: by its HTTP status, else by its words."""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from parexec_tui.agents import ends

Patterns = Mapping[str, Sequence[str]]
"""By end the regular expressions of a person, which go before those here: providers change their words."""

NO_PATTERNS: Patterns = {}

Search = Callable[[str, str], bool]
"""Whether a pattern finds something in a text; a wrong one finds nothing."""


class Trouble(NamedTuple):
    """Why a CLI says that it did not succeed."""

    end: str
    why: str
    until: float | None = None
    """When what stands in the way ends, on the Unix clock, where the CLI says it."""


def end_of_status(status: float | None) -> str | None:
    """The end that an HTTP status of a provider means; None: it does not say."""
    if status is None or status < 400:
        return None
    if status == 429:
        return ends.LIMITED
    if status in (401, 402, 403):
        return ends.AUTH
    return ends.UNAVAILABLE if status >= 500 or status == 408 else ends.FAILED


_WORDS = (
    (
        ends.LIMITED,
        r"\b429\b|rate.?limit|usage limit|hit your (?:\w+ )?limit|quota|resource.?exhausted|too many requests"
        r"|limit reached|out of credits",
    ),
    (
        ends.AUTH,
        r"\b40[123]\b|unauthori[sz]ed|unauthenticated|permission.?denied|forbidden"
        r"|invalid (?:x-)?api.?key|api key not"
        r"|not logged in|log ?in (?:again|required)|authentication|credit balance|billing"
        r"|missing environment variable",
    ),
    (
        ends.UNAVAILABLE,
        r"\b5\d\d\b|overload|high demand|stream (?:disconnected|closed)|server.?error|service unavailable|bad gateway"
        r"|econn\w+|enotfound|eai_again|fetch failed|connection (?:error|reset|refused|closed)|network error"
        r"|time(?:d[ -])?out|error sending request",
    ),
)
_COMPILED = tuple((end, re.compile(words, re.IGNORECASE)) for end, words in _WORDS)


def search(pattern: str, text: str) -> bool:
    """A search without a time limit, see `Search`."""
    try:
        return re.search(pattern, text, re.IGNORECASE) is not None
    except re.error:
        return False  # the plan's reader refuses such a pattern; a wrong one here must not end an attempt


def end_of_words(text: str, patterns: Patterns = NO_PATTERNS, search: Search = search) -> str | None:
    """The end that the words of an API error mean; None: they say nothing that is known.

    Only for what a CLI itself calls an error of the API: an agent may talk about limits as about anything else.
    """
    taught = end_as_taught(text, patterns, search)
    return taught or next((end for end, words in _COMPILED if words.search(text)), None)


def end_as_taught(text: str, patterns: Patterns, search: Search = search) -> str | None:
    """The end that a text means by the words of a person alone."""
    return next((end for end, own in patterns.items() if any(search(each, text) for each in own)), None)
