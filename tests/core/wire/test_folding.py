"""Plans as they are stored: families are folded, and come back exactly as they were."""

import json

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.reading.file import read_plan
from parexec_tui.core.wire import codec
from parexec_tui.core.wire.folding import MIN_MEMBERS, fold

MANY = MIN_MEMBERS * 4


def read(text: str) -> Plan:
    return read_plan(text, source="/w/p.toml", folder="/w", format="toml")


def stored(plan: Plan) -> bytes:
    """As it is stored; it is read again as it was."""
    data = codec.encode_plan(plan)
    again = codec.decode_plan(data)
    assert again == plan
    assert list(again.tickets) == list(plan.tickets)
    for id_, ticket in plan.tickets.items():
        assert list(again.tickets[id_].member.items()) == list(ticket.member.items())
    assert codec.decode_plan(codec.plain_plan(data)) == plan
    return data


def test_a_family_takes_as_much_room_as_its_lines() -> None:
    few, many = (
        stored(
            read(f"""
            [tickets.part]
            foreach = {{ n = "1..{count}" }}
            title = "Part {{n}} of 100%"
            run = "make part-{{n}} > {{n}}.log"
            writes = ["out/{{n}}.txt", "{{n}}.log"]
            env = {{ PART = "{{n}}", LANG = "C" }}
            timeout = "30m"
            [tickets.merge]
            needs = ["part"]
            run = "cat out/*"
            [tickets.report]
            after = ["merge"]
            needs = ["part?"]
            run = "true"
            """)
        )
        for count in (MANY, 10 * MANY)
    )
    assert len(many) < len(few) + 10
    assert len(many) < 1500


def test_values_of_all_kinds_are_folded() -> None:
    inputs = [f"in/a {n}.csv" if n % 7 == 0 else f"in/{n}.csv" for n in range(MANY)]
    tables = ", ".join(
        f'{{ id = "t{n}", size = {n * 7}, fast = {"true" if n % 2 else "false"} }}' for n in range(MANY)
    )
    plan = read(
        f"""
        [tickets.convert]
        foreach = {{ file = {json.dumps(inputs)} }}
        id = "convert-{{file}}"
        run = "convert {{file!q}}"
        [tickets.job]
        foreach = {{ t = [{tables}] }}
        run = "job {{t.size}} {{t.fast}} {{{{braces}}}}"
        needs = ["convert"]
        """.replace('id = "convert-{file}"', "")
    )
    parts = fold(plan.tickets)
    assert parts is not None
    assert [part.members is not None and not part.members.odd for part in parts] == [True, True]
    assert len(stored(plan)) < len(codec.encode(plan)) / 10


def test_a_matrix_keeps_each_value_once() -> None:
    shards = [str(n) for n in range(1, MANY)]
    plan = read(f"""
        [tickets.test]
        matrix = {{ os = ["debian", "alpine"], py = ["3.9", "3.10"], shard = {shards} }}
        exclude = [{{ os = "alpine", py = "3.9", shard = "2" }}]
        include = [{{ os = "arch", py = "3.9", shard = "1" }}, {{ shard = "7", timeout = "1m" }}]
        run = "tox -e py{{py}} -- --os {{os}} {{shard}}"
        """)
    assert len(stored(plan)) < len(codec.encode(plan)) / 5  # with gaps, each value of each member stands there
    full = read(f"""
        [tickets.test]
        matrix = {{ os = ["debian", "alpine"], shard = {shards} }}
        run = "{{os}} {{shard}}"
        """)
    assert len(stored(full)) < 1000


def test_members_that_have_little_in_common_stay_as_they_are() -> None:
    words = [f"{n * 7919 % 1000003:x}" for n in range(MANY)]
    plan = read(
        "\n".join(
            f'[tickets.t{n}]\nrun = "echo {word}"\nfamily = "odd"\nmember = {{ n = "{n}" }}'
            for n, word in enumerate(words)
        )
    )
    assert fold(plan.tickets) is None
    assert stored(plan) == codec.encode(plan)


def test_small_families_and_plans_without_any_are_stored_ticket_by_ticket() -> None:
    plan = read('[tickets.a]\nrun = "true"\n[tickets.b]\nforeach = { n = "1..9" }\nrun = "{n}"')
    assert stored(plan) == codec.encode(plan)


@settings(max_examples=40, deadline=None)
@given(
    values=st.lists(
        st.one_of(st.integers(0, 300).map(str), st.text(min_size=1, max_size=6)),
        min_size=MIN_MEMBERS, max_size=MIN_MEMBERS + 10, unique=True,
    ),
    other=st.lists(st.sampled_from(["1", "11", "a"]), min_size=1, max_size=3, unique=True),
    form=st.lists(st.sampled_from(["{v}", "{w}", "1", "11", "%s", "a", " ", "{{"]), min_size=1, max_size=6),
)  # fmt: skip
def test_whatever_is_folded_comes_back(values: list[str], other: list[str], form: list[str]) -> None:
    tickets = {
        f"t-{number}-{second}": {
            "run": "".join(each.replace("{v}", value).replace("{w}", second) for each in form) + ".",
            "env": {"A": value},
            "family": "t",
            "member": {"v": value, "w": second},
        }
        for number, value in enumerate(value for value in values if "\0" not in value)
        for second in other
    }
    text = json.dumps({"tickets": tickets})
    stored(read_plan(text, source="", folder="/w", format="json"))


def test_a_stored_family_that_is_damaged_is_named() -> None:
    plan = read(f'[tickets.part]\nforeach = {{ n = "1..{MANY}" }}\nrun = "{{n}}"')
    data = codec.encode_plan(plan)
    for wrong in (
        data.replace(b'"count":%d' % MANY, b'"count":900000000000'),
        data.replace(b'"count":%d' % MANY, b'"count":%d' % (MANY + 1)).replace(
            b'"span":[1,%d]' % MANY, b'"values":[]'
        ),
        data.replace(b'"slots":[["n"', b'"slots":[["m"'),
    ):
        assert wrong != data
        with pytest.raises(msgspec.ValidationError, match="a family cannot be unfolded"):
            codec.decode_plan(wrong)
