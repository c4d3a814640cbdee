"""What an attempt was given as secrets, kept out of all that its minder writes.

The minder has the values in its environment, as the CLI has them; the brief has nothing but their names.
"""

import json
from collections.abc import Iterable

from parexec_tui.agents.facts import Fact, parse_object
from parexec_tui.outputs.masker import Stream, forms_of, masked

_LONG = 200
"""Characters of a text in an event from which on it may be cut before it is told, in the midst of a secret. What is
shorter is masked once it is read: the name of an event may look like a secret."""


class Hiding:
    """Masks the values of some secrets."""

    def __init__(self, values: Iterable[bytes]) -> None:
        forms = forms_of(values)
        self._forms = forms.besides(map(_in_json, forms))

    def text(self, text: str) -> str:
        return masked(text, self._forms)

    def fact(self, one: Fact) -> Fact:
        """A fact as it may be written."""
        return {name: self._value(value, 0) for name, value in one.items()}

    def line(self, line: str) -> str:
        """A line of a CLI as it may be read: what is cut of it later must not cut a secret."""
        hidden = self.text(line)
        if hidden == line or (event := parse_object(line)) is None:
            return hidden
        return json.dumps(self._value(event, _LONG), ensure_ascii=False)

    def stream(self) -> Stream:
        """Masks what comes in pieces."""
        return Stream(self._forms)

    def _value(self, value: object, least: int) -> object:
        match value:
            case str():
                return self.text(value) if len(value) >= least else value
            case list():
                return [self._value(each, least) for each in value]
            case dict():
                return {key: self._value(each, least) for key, each in value.items()}
            case _:
                return value


def _in_json(form: bytes) -> bytes:
    """A form as it is in a text of JSON that stands in JSON, as arguments of tools do."""
    return json.dumps(form.decode(errors="surrogateescape"), ensure_ascii=False)[1:-1].encode(
        errors="surrogateescape"
    )
