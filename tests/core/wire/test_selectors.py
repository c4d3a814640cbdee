"""Which tickets the words of a verb mean."""

import pytest

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.plan.reading import faults
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import Refusal
from parexec_tui.core.wire.scopes import scope
from parexec_tui.core.wire.selectors import SelectorError, select
from tests.core.sessions import Session, plan

PLAN = """
    MOD-1:
    MOD-2: MOD-1 priority=low
    DOC-1: agent=writer
    DOC-2: agent=writer priority=low
    DOC-3: DOC-2
    LINT: agent=writer
"""


@pytest.fixture(scope="module")
def session() -> Session:
    """MOD-1 failed, so MOD-2 is skipped; DOC-1 runs on writer-1 and DOC-2 waits for a writer; LINT is held."""
    agents = {"builder": AgentType(min=2), "writer": AgentType(max=1)}
    session = Session(plan(PLAN, agents=agents))
    session.ask(rq.Hold(tickets=("LINT",)))
    session.dispatch()
    session.fail("MOD-1")
    return session


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("", ""),
        ("DOC-1", "DOC-1"),
        ("DOC-2 MOD-1", "MOD-1 DOC-2"),
        ("DOC-2,MOD-1", "MOD-1 DOC-2"),
        ("MOD-*", "MOD-1 MOD-2"),
        ("MOD-[2-9] DOC-?", "MOD-2 DOC-1 DOC-2 DOC-3"),
        ("* !MOD-*", "DOC-1 DOC-2 DOC-3 LINT"),
        ("!MOD-*", "DOC-1 DOC-2 DOC-3 LINT"),
        ("!MOD-*,DOC-*", "LINT"),
        ("status:failed", "MOD-1"),
        ("status:failed,skipped", "MOD-1 MOD-2"),
        ("status:failed,status:skipped", "MOD-1 MOD-2"),
        ("status:succeeded", ""),
        ("status:ready", "DOC-2"),
        ("status:held", "LINT"),
        ("status:live", "DOC-1"),
        ("status:over", "MOD-1 MOD-2"),
        ("!status:over,live", "DOC-2 DOC-3 LINT"),
        ("agent:builder-1", "MOD-1"),
        ("agent:*-1", "MOD-1 DOC-1"),
        ("type:writer", "DOC-1 DOC-2 DOC-3 LINT MOD-1 MOD-2"),
        ("type:builder", "MOD-1 MOD-2 DOC-3"),
        ("group:1", "MOD-1 DOC-1 DOC-2 LINT"),
        ("group:2", "MOD-2 DOC-3"),
        ("priority:low", "MOD-2 DOC-2"),
        ("priority:low group:2", "MOD-2"),
        ("DOC-* priority:low", "DOC-2"),
        ("DOC-* MOD-* priority:low !status:skipped", "DOC-2"),
        ("DOC-1,status:failed", "MOD-1 DOC-1"),
    ],
)
def test_words(session: Session, words: str, ids: str) -> None:
    in_plan_order = [id_ for id_ in session.state.tickets if id_ in ids.split()]
    assert select(session.state, words.split()) == in_plan_order


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("MOD1", "there is no ticket MOD1, did you mean `MOD-1`?"),
        ("mod-1", "there is no ticket mod-1, did you mean `MOD-1`?"),
        ("XYZZY", "there is no ticket XYZZY"),
        ("MAD-*", "no ticket matches MAD-*"),
        ("statsu:failed", "there is no selector statsu:, did you mean `status`?"),
        (
            "colour:red",
            "there is no selector colour: - there is status, agent, host, type, group, priority and family",
        ),
        ("status:faild", "there is no status faild, did you mean `failed`?"),
        ("agent:builder-9", "there is no agent builder-9, did you mean `builder-2`?"),
        ("agent:x*", "there is no agent x*, there is builder-1, builder-2 and writer-1"),
        ("type:cook", "there is no type cook, there is builder and writer"),
        ("group:0", "there is no group 0, there is 1 and 2"),
        ("priority:urgent", "there is no priority urgent, there is critical, high, medium and low"),
        (
            "status:nonsense",
            "there is no status nonsense, there is waiting, backoff, running, frozen, validating, stopping, "
            "rolling back, approval, conflict, needs you, succeeded, failed, allowed failure, cancelled, skipped, "
            "not wanted, waived, "
            "rolled back, ready, held, live and over",
        ),
        ("status:", "'status:' names nothing after status:"),
        ("!", "'' names nothing"),
        ("A,,B", "there is no ticket A"),
        ("MOD-1,", "'MOD-1,' names nothing"),
    ],
)
def test_words_that_mean_nothing_there_could_be(session: Session, word: str, message: str) -> None:
    with pytest.raises(SelectorError) as raised:
        select(session.state, [word])
    assert str(raised.value) == message


def test_a_misspelt_name_is_not_compared_with_very_many(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    def compared(word: str, names: object, **more: object) -> list[str]:
        raise AssertionError(f"{word} is compared with {names}, {more}")

    monkeypatch.setattr(faults, "_MAX_COMPARED", 3)
    monkeypatch.setattr(faults, "get_close_matches", compared)
    with pytest.raises(SelectorError, match=r"no ticket nobody$"):
        select(session.state, ["nobody"])
    assert scope(session.state, ["nobody"]) == Refusal("there is no ticket, agent or agent type nobody")


# -- Families ----------------------------------------------------------------------------------------------------

FAMILY = """
[tickets.test]
matrix = { py = ["3.11", "3.12"], os = ["debian", "alpine"] }
run = "tox"
[tickets.end]
run = "true"
"""


@pytest.fixture(scope="module")
def families() -> Session:
    return Session(read_plan(FAMILY, source="p", folder="/", format="toml"))


@pytest.mark.parametrize(
    ("words", "ids"),
    [
        ("test", "3.11-debian 3.11-alpine 3.12-debian 3.12-alpine"),
        ("family:test", "3.11-debian 3.11-alpine 3.12-debian 3.12-alpine"),
        ("test[py=3.11]", "3.11-debian 3.11-alpine"),
        ("test[py=3.11,os=deb*] test[py=3.12,os=alpine]", "3.11-debian 3.12-alpine"),
        ("test[os=debian],test[os=alpine] !test-3.11-*", "3.12-debian 3.12-alpine"),
        ("test-3.1[12]-debian", "3.11-debian 3.12-debian"),
    ],
)
def test_members_of_a_family_are_meant_by_it_and_by_their_values(families: Session, words: str, ids: str) -> None:
    assert select(families.state, words.split()) == [f"test-{id_}" for id_ in ids.split()]


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("tests", "there is no ticket tests"),
        ("tset[py=3.11]", "there is no family tset, did you mean `test`?"),
        ("test[python=3.11]", "test has no python, it has py and os"),
        ("test[py=4]", "no ticket of test has py=4"),
        ("family:tst", "there is no family tst, did you mean `test`?"),
    ],
)
def test_a_family_or_a_value_that_is_not_there_is_an_error(families: Session, word: str, message: str) -> None:
    with pytest.raises(SelectorError) as error:
        select(families.state, [word])
    assert str(error.value).startswith(message)


AWKWARD = """
[tickets.x]
matrix = { os = ["c,d", "e f", "g\\"h", "3.11", "z]y", "a:b", "*"], n = [1, 2] }
run = "x"
"""


@pytest.fixture(scope="module")
def awkward() -> Session:
    return Session(read_plan(AWKWARD, source="p", folder="/", format="toml"))


@pytest.mark.parametrize(
    ("word", "values"),
    [
        ('x[os="c,d"]', "c,d"),
        ("x[os='c,d', n=1]", "c,d"),
        ('x[ n = 1, os = "e f" ]', "e f"),
        ("x[os=e f,n=1]", "e f"),
        (r'x[os="g\"h"]', 'g"h'),
        ("x[os = 3.11]", "3.11"),
        ('x[os="3.11"]', "3.11"),
        ('x[os="z]y"]', "z]y"),
        ("x[os=a:b]", "a:b"),
        ("x[os='a:b']", "a:b"),
        ("x[os='*']", "*"),
        ("x[os=c*]", "c,d"),
        ("x[os='c,d'],x[os='z]y']", "c,d|z]y"),
        ("x[os=[ce]*,n=1]", "c,d|e f"),
    ],
)
def test_values_that_a_word_cannot_have_stand_in_quotes(awkward: Session, word: str, values: str) -> None:
    found = select(awkward.state, [word])
    assert {awkward.state.tickets[id_].spec.member["os"] for id_ in found} == set(values.split("|"))


def test_a_value_that_should_stand_in_quotes_is_told(awkward: Session) -> None:
    for word in ("x[os=c,d]", "x[os=z]y]"):
        with pytest.raises(SelectorError, match=r"a value with a comma is in quotes, x\[os=\"a,b\"\]"):
            select(awkward.state, [word])
