"""The protocol without sockets: any split of the bytes gives the same messages and the same error."""

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.client.framing import (
    ClientEnd,
    ClientError,
    EngineEnd,
    EngineGone,
    LocalProtocolError,
    ProtocolError,
    Refused,
    RemoteProtocolError,
    Unreadable,
    check_answer,
    decode,
    encode,
    encode_event,
    facts_of,
)
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.protocol import (
    MAX_LINE,
    MAX_WAITING,
    VERSION,
    Answer,
    Farewell,
    FromClient,
    FromEngine,
    Happened,
    Hello,
    Notice,
    Question,
    Request,
    Roots,
    Trouble,
    Welcome,
)
from parexec_tui.text.roots import root_text

HELLO = Hello(version=VERSION, client="test")
WELCOME = Welcome(version=VERSION, session="exec_1", engine_pid=7, last=3)

Outcome = tuple[list[object], str]
"""The messages that came out, and the error that ended it: its type and its text, or nothing."""


def received(end: ClientEnd | EngineEnd, pieces: Sequence[bytes]) -> Outcome:
    """The messages that come out of an end which receives these pieces, as the owner of a socket passes them."""
    found: list[object] = []
    try:
        for piece in pieces:
            end.receive(piece)
            while (message := end.next()) is not None:
                found.append(message)
    except ClientError as error:
        return found, f"{type(error).__name__}: {error}"
    return found, ""


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """The same bytes in pieces; no piece is empty, as that would be the end."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


TEXT = st.text(max_size=12)
PLACES = st.lists(st.integers(0, 1 << 16), max_size=12)
IDS = st.integers(0, 2**53)
ASKED: st.SearchStrategy[FromClient] = st.one_of(
    st.builds(
        Request,
        id=IDS,
        request=st.one_of(
            st.builds(rq.Hold, tickets=st.lists(TEXT, max_size=3).map(tuple), reason=TEXT),
            st.builds(rq.Stop, now=st.booleans(), reason=TEXT),
            st.just(rq.Undo()),
            st.builds(rq.Amend, added=st.dictionaries(TEXT, st.builds(Ticket, run=TEXT), max_size=2)),
        ),
        dry_run=st.booleans(),
    ),
    st.builds(
        Question,
        id=IDS,
        about=st.sampled_from(["status", "why", "names"]),
        words=st.lists(TEXT, max_size=2).map(tuple),
    ),
)
SAID: st.SearchStrategy[FromEngine] = st.one_of(
    st.builds(Happened, seq=IDS, event=TEXT.map(lambda text: msgspec.Raw(msgspec.json.encode({"text": text})))),
    st.builds(Answer, id=IDS, refusal=TEXT, remedy=TEXT),
    st.builds(Answer, id=IDS, facts=st.dictionaries(TEXT, TEXT, max_size=2)),
    st.builds(Notice, text=TEXT),
)


def lines(messages: Sequence[FromClient] | Sequence[FromEngine]) -> bytes:
    return b"".join(map(encode, messages))


# -- any split -------------------------------------------------------------------------------------------------


@given(st.lists(ASKED, max_size=20), PLACES)
def test_an_engine_reads_what_a_client_wrote_however_it_was_split(asked: list[FromClient], places: list[int]) -> None:
    sent = [HELLO, *asked]
    assert received(EngineEnd(), cut(lines(sent), places)) == (sent, "")


@given(st.lists(SAID, max_size=20), PLACES)
def test_a_client_reads_what_an_engine_wrote_however_it_was_split(said: list[FromEngine], places: list[int]) -> None:
    data = lines([WELCOME, *said])
    found, error = received(ClientEnd(), cut(data, places))
    # Encoded again, because two Raw parts are never equal.
    assert (b"".join(msgspec.json.encode(each) + b"\n" for each in found), error) == (data, "")


@given(st.binary(max_size=200), st.booleans(), PLACES)
def test_garbage_is_an_error_of_the_other_end_and_the_same_one_however_it_was_split(
    garbage: bytes, greeted: bool, places: list[int]
) -> None:
    ends: tuple[tuple[type[ClientEnd | EngineEnd], FromClient | FromEngine], ...]
    ends = (ClientEnd, WELCOME), (EngineEnd, HELLO)
    for end, first in ends:
        data = (encode(first) if greeted else b"") + garbage
        whole = received(end(), [data, b""] if data else [b""])
        assert received(end(), [*cut(data, places), b""]) == whole
        assert whole[1].partition(":")[0] in ("", "EngineGone", "RemoteProtocolError")
        assert whole[1] or end is EngineEnd  # a client is not content until the engine has said farewell


@given(st.lists(ASKED, min_size=1, max_size=4), st.integers(0, 10_000))
def test_a_client_that_stops_within_a_line_is_told_so_after_its_whole_lines(asked: list[FromClient], at: int) -> None:
    sent = [HELLO, *asked]
    data = lines(sent)
    part = data[: at % len(data)]
    whole = part.count(b"\n")
    found, error = received(EngineEnd(), [part, b""] if part else [b""])
    assert found == sent[:whole]
    assert error == ("" if not part or part.endswith(b"\n") else "RemoteProtocolError: the last line has no end")


@given(st.lists(SAID, max_size=4), st.integers(0, 10_000))
def test_a_client_that_loses_the_engine_is_told_so_after_its_whole_lines(said: list[FromEngine], at: int) -> None:
    data = lines([WELCOME, *said])
    part = data[: at % (len(data) + 1)]
    found, error = received(ClientEnd(), [part, b""] if part else [b""])
    assert (len(found), error) == (part.count(b"\n"), "EngineGone: the engine went away")


# -- limits ----------------------------------------------------------------------------------------------------


@given(st.integers(-2, 2), PLACES)
def test_a_line_may_have_so_many_bytes_and_no_more_however_it_was_split(more: int, places: list[int]) -> None:
    head, tail = b'{"type":"question","id":1,"about":"why","words":["', b'"]}\n'
    line = head + b"T" * (MAX_LINE + more - len(head) - len(tail)) + tail
    pieces = [encode(HELLO), *cut(line, [*places, MAX_LINE // 2])]
    found, error = received(EngineEnd(), pieces)
    assert error == ("" if more <= 0 else f"RemoteProtocolError: a line of more than {MAX_LINE} bytes")
    assert len(found) == (2 if more <= 0 else 1)


def test_a_line_without_an_end_is_refused_before_it_fills_the_memory() -> None:
    end = EngineEnd()
    end.receive(b"x" * MAX_LINE)
    with pytest.raises(RemoteProtocolError, match="a line of more than"):
        end.next()


def test_a_client_reads_lines_of_any_length() -> None:
    event = msgspec.json.encode({"text": "x" * (3 * MAX_LINE)})
    data = encode(WELCOME) + encode_event(1, event)
    found, error = received(ClientEnd(), [data[at : at + 1000] for at in range(0, len(data), 1000)])
    assert error == ""
    assert isinstance(found[1], Happened)
    assert bytes(found[1].event) == event


def test_so_many_messages_may_wait_and_no_more() -> None:
    question = encode(Question(id=1, about="status"))
    assert len(question) * (MAX_WAITING + 1) < MAX_LINE
    end = EngineEnd()
    end.receive(encode(HELLO) + question * (MAX_WAITING - 1))
    with pytest.raises(RemoteProtocolError, match=f"more than {MAX_WAITING} messages at once"):
        end.receive(question)


def test_a_request_that_no_engine_would_read_is_not_sent() -> None:
    with pytest.raises(LocalProtocolError, match="ask in parts"):
        ClientEnd().request(rq.Hold(tickets=("T" * MAX_LINE,)))
    longest = MAX_LINE - len(ClientEnd().request(rq.Hold(tickets=("",)))[1])
    assert len(ClientEnd().request(rq.Hold(tickets=("T" * longest,)))[1]) == MAX_LINE
    encode(Notice(text="x" * MAX_LINE))  # an engine's line may be of any length


# -- hello and welcome -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (encode(Question(id=1, about="status")), "RemoteProtocolError: a client says hello first"),
        (
            b'{"type":"question","id":1,"about":"tomorrow"}\n',
            "RemoteProtocolError: a message that cannot be read: Invalid enum value 'tomorrow' - at `$.about`",
        ),
        (
            encode(Hello(version=VERSION + 1)),
            f"RemoteProtocolError: this engine speaks version {VERSION} of the protocol, the client {VERSION + 1}: "
            "use the parexec that started the session",
        ),
    ],
)
def test_an_engine_takes_a_hello_of_its_version_first(first: bytes, error: str) -> None:
    assert received(EngineEnd(), [first]) == ([], error)


def test_an_engine_takes_one_hello() -> None:
    assert received(EngineEnd(), [lines([HELLO, HELLO])]) == (
        [HELLO],
        "RemoteProtocolError: a client says hello once",
    )


@pytest.mark.parametrize(
    ("first", "error"),
    [
        (Trouble(message="use another"), "ProtocolError: use another"),
        (Farewell(reason="finished"), "EngineGone: the engine is leaving: finished"),
        (Notice(text="x"), "RemoteProtocolError: the engine did not say welcome but notice"),
    ],
)
def test_a_client_takes_a_welcome_first(first: FromEngine, error: str) -> None:
    assert received(ClientEnd(), [encode(first)]) == ([], error)


def test_after_a_farewell_the_end_is_no_surprise() -> None:
    end = ClientEnd()
    assert (
        received(end, [encode(WELCOME), encode(Farewell(reason="finished")), encode(Notice(text="x")), b""])[1] == ""
    )
    assert (end.welcome, end.is_over) == (WELCOME, True)


# -- asking ----------------------------------------------------------------------------------------------------


def test_each_question_and_request_has_an_id_of_its_own() -> None:
    end, engine = ClientEnd(), EngineEnd()
    engine.receive(encode(HELLO))
    assert engine.next() == HELLO
    asked = [end.request(rq.Undo(), dry_run=True), end.question("why", ["A"]), end.request(rq.Undo())]
    for id_, line in asked:
        engine.receive(line)
        message = engine.next()
        assert isinstance(message, Request | Question)
        assert message.id == id_
    assert len({id_ for id_, _ in asked}) == len(asked)


@pytest.mark.parametrize(
    "line",
    [
        b'{"type":"request","id":5,"request":{"kind":"of a later version"}}',
        b'{"type":"question","id":5,"about":"tomorrow"}',
    ],
)
def test_what_an_engine_does_not_know_can_still_be_refused_by_its_id(line: bytes) -> None:
    found, error = received(EngineEnd(), [encode(HELLO) + line + b"\n" + encode(Question(id=6, about="status"))])
    assert error == ""
    _, unreadable, after = found
    assert isinstance(unreadable, Unreadable)
    assert unreadable.id == 5
    assert unreadable.error.startswith("a message that cannot be read: ")
    assert after == Question(id=6, about="status")


def test_fields_of_a_later_version_are_ignored() -> None:
    line = b'{"type":"welcome","version":1,"session":"s","engine_pid":1,"last":0,"mood":"good"}\n'
    assert received(ClientEnd(), [line]) == ([Welcome(version=1, session="s", engine_pid=1, last=0)], "")


def test_facts_of_a_later_version_are_read_or_are_its_fault() -> None:
    later = [{"root": {"kind": "quota", "ticket": "T"}, "count": 2}]
    roots = facts_of({"roots": later, "of": {"T": 0}}, Roots)
    assert root_text(roots.roots[0].root, None) == "T waits (quota)"
    with pytest.raises(RemoteProtocolError, match="cannot read"):
        facts_of({"roots": 1, "of": {}}, Roots)


def test_a_refusal_is_raised_with_its_remedy() -> None:
    granted = Answer(id=1, events=[])
    assert check_answer(granted) is granted
    with pytest.raises(Refused, match=r"no \(do this\)") as refused:
        check_answer(Answer(id=1, refusal="no", remedy="do this"))
    assert (refused.value.reason, refused.value.remedy) == ("no", "do this")


def test_errors_say_whose_fault_it_is() -> None:
    with pytest.raises(RemoteProtocolError):
        decode(b"{")
    assert issubclass(LocalProtocolError, ProtocolError)
    assert issubclass(RemoteProtocolError, ProtocolError)
    assert not issubclass(EngineGone, ProtocolError)
