"""The protocol is documented from its own types."""

from typing import get_args

from parexec_tui.core.wire import protocol, requests
from tests.protocol_page import render, written


def test_the_page_says_what_the_types_say() -> None:
    assert written() == render(), "run: python -m tests.protocol_page"


def test_every_message_and_request_says_what_it_is() -> None:
    everything = (
        *get_args(protocol.FromClient),
        *get_args(protocol.FromEngine),
        *get_args(requests.AnyRequest),
        protocol.StatusReport,
    )
    assert [each.__name__ for each in everything if not vars(each).get("__doc__")] == []
