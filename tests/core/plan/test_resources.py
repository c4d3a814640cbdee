"""Named units: how they are read and written, and who gets which."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from parexec_tui.core.plan.claims import Claims, Holdings
from parexec_tui.core.plan.command import fill, fill_units, words_in_braces
from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.plan_settings import PlanSettings
from parexec_tui.core.plan.reading.file import PlanErrors, read_plan
from parexec_tui.core.plan.resources import Amounts, Resources, Units, is_port, read_units, unit_variable, write_units
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.wire import codec


@pytest.mark.parametrize(
    ("value", "units"),
    [
        (["0", "1"], ("0", "1")),
        ([0, 1], ("0", "1")),
        (["MIG-a/1", "node-7:3"], ("MIG-a/1", "node-7:3")),
        ("4-7", ("4", "5", "6", "7")),
        (["0", "8-10"], ("0", "8", "9", "10")),
        ("08-11", ("08", "09", "10", "11")),
        ("solo", ("solo",)),
    ],
)
def test_units_are_read(value: object, units: Units) -> None:
    assert read_units("gpu", value) == units


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("gpu", [], 'gpu has no units: write for instance gpu = ["0", "1"], or gpu = 2'),
        ("gpu", ["a b"], "'a b' is not a unit of gpu: write a name of letters, digits and _ . / : @ + -, or a range"),
        ("gpu", [True], "True is not a unit of gpu: write a name of letters, digits and _ . / : @ + -, or a range"),
        ("gpu", ["a,b"], "'a,b' is not a unit of gpu: write a name of letters, digits and _ . / : @ + -, or a range"),
        ("gpu", ["1", "0-2"], "unit '1' of gpu is there twice"),
        ("gpu", "9-8", "the range 9-8 of gpu is empty: write the lower number first"),
        ("gpu", "0-99999999", "gpu has more than 65536 units"),
        ("port", "65530-65540", "'65536' is not a port: write numbers from 1 to 65535"),
        ("debug_port", ["0080"], "'0080' is not a port: write numbers from 1 to 65535"),
    ],
)
def test_what_are_no_units_is_refused_with_what_would_be(name: str, value: object, text: str) -> None:
    with pytest.raises(ValueError, match=r"unit|range|port") as refused:
        read_units(name, value)
    assert str(refused.value) == text


def test_the_host_has_amounts_and_no_units() -> None:
    with pytest.raises(ValueError, match="cpu is an amount of the host, and has no units"):
        Resources.parse({"cpu": ["0", "1"]})
    assert Resources.parse({"memory": "1GiB", "gpu": ["0"], "licence": 2}) == {
        "memory": 2**30,
        "gpu": ("0",),
        "licence": 2,
    }


_names = st.lists(st.sampled_from([*map(str, range(14)), "a", "b-1", "099", "100", "101"]), min_size=1, unique=True)


@given(_names.map(tuple))
def test_what_is_written_is_read_again(units: Units) -> None:
    assert read_units("gpu", write_units(units)) == units
    resources = Resources(gpu=units, licence=3)
    assert codec.from_builtin(Resources, codec.to_builtin(resources)) == resources


def test_many_units_are_written_as_ranges() -> None:
    assert write_units(read_units("port", "8000-8099")) == ["8000-8099"]
    assert write_units(("0", "1")) == ["0", "1"]
    assert write_units(("9", "10", "11", "12", "x")) == ["9", "10-12", "x"]


def claims(**uses: float) -> Claims:
    plan = Plan(settings=PlanSettings(), tickets={}, agents={}, workdir="/work")
    return Claims.of(Ticket(uses=Amounts(uses)), plan)


def holdings() -> Holdings:
    return Holdings({"gpu": 3, "licence": 1}, {"gpu": ("a", "b", "c")})


def test_the_first_free_units_are_given_and_come_back() -> None:
    held = holdings()
    assert held.take("T1", claims(gpu=2, licence=1), 1.0) == {"gpu": ("a", "b")}
    assert held.take("T2", claims(gpu=1), 2.0) == {"gpu": ("c",)}
    assert held.unit_holder("gpu", "b") == "T1"
    held.give_back("T1")
    assert held.unit_holder("gpu", "b") == ""
    assert held.take("T3", claims(gpu=1), 3.0) == {"gpu": ("a",)}
    assert held.take("T4", claims(), 3.0) == {}


def test_what_is_set_aside_is_given_to_nobody_and_counts_as_taken() -> None:
    held = holdings()
    held.set_aside("gpu", ("a", "elsewhere"))
    assert held.all_aside() == {"gpu": ("a",)}
    assert held.free("gpu") == 2
    assert held.take("T1", claims(gpu=1), 1.0) == {"gpu": ("b",)}
    conflict = held.conflict(claims(gpu=2))
    assert conflict is not None
    assert conflict.describe() == "needs 2 gpu, 1 of 3 free, 1 in use by other programs"
    held.set_aside("gpu", ())
    assert held.all_aside() == {}
    assert held.take("T2", claims(gpu=2), 2.0) == {"gpu": ("a", "c")}


def test_a_unit_that_is_held_may_be_set_aside_and_is_counted_once() -> None:
    held = holdings()
    held.take("T1", claims(gpu=1), 1.0)
    held.set_aside("gpu", ("a",))
    assert held.free("gpu") == 2
    held.give_back("T1")
    assert held.free("gpu") == 2


def test_only_named_resources_have_units_to_set_aside() -> None:
    with pytest.raises(RuntimeError, match="there are no units of licence"):
        holdings().set_aside("licence", ("1",))


def test_units_are_filled_in_where_they_stand_in_braces() -> None:
    units = {"port": ("8000",), "gpu": ("0", "1")}
    assert fill_units("serve {port} ${port} {gpu} {other} {}", units) == "serve 8000 ${port} 0,1 {other} {}"
    assert fill_units("serve {{port}} {{{port}}} {{other}}", units) == "serve {port} {8000} {{other}}"
    assert fill_units("serve {port}", {}) == "serve {port}"
    ticket = Ticket(run=fill_units("echo {gpu} {ticket}", units))
    command = fill(("x", "--port={port}", "{run}", "{other}"), ticket, id_="T", attempt=1, workdir="/w", units=units)
    assert command == ("x", "--port=8000", "echo 0,1 {ticket}", "{other}")


def test_a_resource_does_not_take_the_place_of_a_placeholder() -> None:
    command = fill(("{ticket}",), Ticket(), id_="T", attempt=1, workdir="/w", units={"ticket": ("7",)})
    assert command == ("T",)


def test_a_variable_of_the_shell_is_no_placeholder() -> None:
    ticket = Ticket(prompt="write")
    assert (
        fill(("sh", "-c", "x ${prompt} {prompt}"), ticket, id_="T", attempt=1, workdir="/w")[2] == "x ${prompt} write"
    )
    assert list(words_in_braces("${a} {b.c} {0} {b.c} {1.5}")) == ["b.c"]


@pytest.mark.parametrize(
    ("name", "port"), [("port", True), ("debug_port", True), ("web-ports", True), ("report", False)]
)
def test_ports_are_told_by_their_name(name: str, *, port: bool) -> None:
    assert is_port(name) is port


def test_the_variable_of_a_resource_is_one_that_shells_can_have() -> None:
    assert unit_variable("gpu") == "PAREXEC_GPU"
    assert unit_variable("debug-port.2") == "PAREXEC_DEBUG_PORT_2"


def test_no_two_resources_tell_their_units_in_the_same_variable() -> None:
    text = "[resources]\nmy-gpu = '0-1'\nmy_gpu = ['2']\nMY-GPU = 4\n[tickets.A]\nrun = 'true'\n"
    with pytest.raises(PlanErrors) as refused:
        read_plan(text, source="p", folder="/work", format="toml")
    assert [str(problem) for problem in refused.value.problems] == [
        "p:3:1: resources.my_gpu: its units would be told in PAREXEC_MY_GPU, as those of 'my-gpu' are "
        "(give one of them another name)"
    ]
