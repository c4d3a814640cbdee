"""Metrics in the text format of Prometheus, as its own parser reads them."""

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from parexec_tui.core.plan.agent_type import AgentType
from parexec_tui.core.state.session import SessionState
from parexec_tui.core.state.tally import BOUNDS
from parexec_tui.core.wire.protocol import HostSample
from parexec_tui.report.exposition import exposition
from parexec_tui.report.metrics import Meter, SessionMetrics, session_metrics
from parexec_tui.report.metrics_lines import metrics_lines
from tests.core.sessions import OPENED_AT, Session, plan

Samples = dict[str, dict[tuple[tuple[str, str], ...], float]]


def read(*sessions: SessionMetrics) -> Samples:
    """{name: {labels but the session: value}}"""
    found: Samples = {}
    for family in text_string_to_metric_families(exposition(sessions).decode()):
        assert family.documentation
        assert family.type in ("gauge", "counter", "histogram")
        for sample in family.samples:
            labels = tuple(sorted((name, value) for name, value in sample.labels.items() if name != "session"))
            assert labels not in found.setdefault(sample.name, {}), "each is told once"
            found[sample.name][labels] = sample.value
    return found


def metrics_of(session: Session, sample: HostSample | None = None) -> SessionMetrics:
    meter = Meter(SessionState(session.plan))
    for event in session.journal:
        meter.note(event)
    return session_metrics(meter, meter.state.status, sample, session.now, is_up=meter.state.has_engine)


def half_way() -> Session:
    types = {"mill": AgentType(max=2), "lab": AgentType(max=1)}
    session = Session(
        plan("A: agent=mill retries=1\nB: agent=lab locks=db\nC: agent=mill locks=db\nD: A agent=mill", agents=types)
    )
    session.dispatch()
    session.wait(2)
    session.fail("A")
    session.back_off("A")
    session.dispatch()
    session.wait(3)
    session.succeed("A")
    return session


def test_all_that_happened_is_told_and_nothing_twice() -> None:
    session = half_way()
    found = read(metrics_of(session))
    mill = ("agent_type", "mill")
    assert found["parexec_tickets"][("status", "succeeded"),] == 1
    assert found["parexec_tickets"][("status", "waiting"),] == 2
    assert sum(found["parexec_tickets"].values()) == 4
    assert found["parexec_attempts_total"][mill,] == 2
    assert found["parexec_retries_total"][mill,] == 1
    ends = found["parexec_attempts_ended_total"]
    assert (ends[mill, ("end", "failed")], ends[mill, ("end", "succeeded")], sum(ends.values())) == (1, 1, 2)
    buckets = {dict(labels)["le"]: value for labels, value in found["parexec_attempt_duration_seconds_bucket"].items()
               if mill in labels}  # fmt: skip
    assert list(buckets) == [*map(str, BOUNDS), "+Inf"]
    assert list(buckets.values()) == [0, 0, 0, 2, 2, 2, 2, 2, 2, 2, 2, 2]
    assert found["parexec_attempt_duration_seconds_count"][mill,] == 2
    assert found["parexec_attempt_duration_seconds_sum"][mill,] == 5
    assert found["parexec_wait_seconds_total"][("cause", "claims"),] == round(session.now - OPENED_AT, 3)
    assert found["parexec_waiting_tickets"][("cause", "claims"),] == 1
    assert found["parexec_claims_held"][("kind", "lock"),] == 1
    assert found["parexec_tickets_serialised"][()] == 1
    assert found["parexec_engine_up"][()] == 1
    assert {labels for labels, value in found["parexec_session_state"].items() if value} == {(("state", "running"),)}


def test_no_label_names_a_ticket_and_every_name_is_ours() -> None:
    session = half_way()
    found = read(metrics_of(session))
    assert all(name.startswith("parexec_") for name in found)
    told = {value for labels in found.values() for each in labels for _, value in each}
    assert not told & set(session.state.tickets)


def test_names_with_quotes_newlines_and_what_is_no_unicode_are_read_as_they_are() -> None:
    odd = msgspec.structs.replace(metrics_of(half_way()), session='a "b"\n\\n{c="d"} é \udcff', plan="\\")
    labels = [
        sample.labels
        for family in text_string_to_metric_families(exposition([odd]).decode())
        for sample in family.samples
    ]
    assert {each["session"] for each in labels} == {'a "b"\n\\n{c="d"} é ?'}
    assert labels[0]["plan"] == "\\"
    assert not any("\n" in line for line in metrics_lines(odd))


def test_several_sessions_are_told_under_the_same_names() -> None:
    one = metrics_of(half_way())
    text = exposition([one, msgspec.structs.replace(one, session="other")]).decode()
    assert text.count("# TYPE parexec_tickets gauge") == 1
    assert text.count('status="running"} ') == 2


def test_the_host_is_told_only_as_long_as_that_is_news() -> None:
    session = half_way()
    sample = HostSample(
        at=session.now - 5, cpu=0.5, per_cpu=(), load=(0, 0, 0), memory_used=10, memory_total=40, swap_used=0,
        swap_total=0, disks=(), disk_read=0, disk_write=0, net_in=0, net_out=0, pressure={},
    )  # fmt: skip
    assert read(metrics_of(session, sample))["parexec_host_cpu_ratio"][()] == 0.5
    session.wait(300)
    session.succeed("B")
    assert "parexec_host_cpu_ratio" not in read(metrics_of(session, sample))


def test_a_session_before_its_first_attempt_has_all_series() -> None:
    found = read(metrics_of(Session("A:")))
    assert set(found["parexec_attempts_ended_total"].values()) == {0}
    assert found["parexec_attempt_duration_seconds_count"].popitem()[1] == 0
