"""`parexec trace`, and what an engine starts beside it: spans of real sessions to a real collector."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from parexec_tui.cli import tracing
from parexec_tui.core.state import events as ev
from parexec_tui.paths import session_folder
from parexec_tui.registry.lock import is_owned
from tests.cli.test_steer import parexec
from tests.engine import engines
from tests.engine.conftest import nothing_runs_on as nothing_runs_on
from tests.engine.engines import PAREXEC, exists, until
from tests.engine.lifecycle.detached import kill, run_detached, the_engine
from tests.tracing.collector import Collector, attributes, collecting

pytestmark = pytest.mark.usefixtures("here", "in_a_hurry")

PLAN = """
[plan]
name = "Traced"
[tickets.a]
run = "true"
gates = ["true"]
[tickets.b]
needs = ["a"]
run = "echo 'error: no such luck' >&2; exit 3"
[tickets.c]
needs = ["b"]
run = "true"
"""
GATED = """
[tickets.a]
run = "true"
[tickets.b]
run = "until test -e go; do sleep 0.02; done"
needs = ["a"]
"""


@pytest.fixture
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")


def run(here: Path, plan: str, *options: str) -> str:
    """Run a plan to its end; the session."""
    (here / "plan.toml").write_text(plan)
    parexec("run", "plan.toml", "--headless", "--brief", *options)
    return engines.session()


def trace(*arguments: str) -> Result:
    """`parexec trace`, in this process."""
    return CliRunner().invoke(tracing.trace, arguments)


def otel(collector: Collector, plan: str = GATED) -> str:
    return f'[otel]\nendpoint = "{collector.url}"\nattributes = {{ team = "ours" }}\n{plan}'


def senders(session: str) -> list[int]:
    """The processes that send the spans of a session."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and _is_sender(entry, session.encode())
    ]


def _is_sender(process: Path, session: bytes) -> bool:
    try:
        words = (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return b"parexec_tui.cli.tracing" in words and session in words


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port


def test_the_whole_tree_arrives_once(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRACEPARENT", f"00-{'ab' * 16}-{'cd' * 8}-01")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=secret")
    session = run(here, PLAN)
    monkeypatch.delenv("TRACEPARENT")
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.url)
        answer = parexec("trace", session)
        assert (answer.code, answer.err) == (0, "")
        assert answer.out == f"trace {'ab' * 16}: 9 spans sent to {collector.url}/v1/traces\n"
        again = parexec("trace")
        assert ": 0 spans sent" in again.out
    root = collector.named("RUN Traced")
    assert {span.trace_id.hex() for span in collector.spans} == {"ab" * 16}
    assert root.parent_span_id.hex() == "cd" * 8
    gate = collector.named("RUN Traced", "a", "attempt 1", "true")
    failed = collector.named("RUN Traced", "b", "attempt 1")
    assert failed.status.code == 2
    assert failed.status.message == "error: no such luck"
    assert attributes(failed)["process.exit.code"] == 3
    assert attributes(collector.named("RUN Traced", "c"))["cicd.pipeline.task.run.result"] == "skip"
    assert attributes(root)["cicd.pipeline.result"] == "failure"
    assert collector.named("RUN Traced", "b").links[0].span_id == collector.named("RUN Traced", "a").span_id
    assert collector.resource["service.name"] == "parexec"
    assert collector.resource["deployment.environment.name"] == "test"
    assert collector.headers["api-key"] == "secret"
    journal = engines.journal()
    ended = next(each for each in journal if isinstance(each, ev.AttemptEnded) and each.ticket == "b")
    started = next(each for each in journal if isinstance(each, ev.StepStarted))
    assert failed.end_time_unix_nano == round(ended.at * 1e6) * 1000
    assert gate.start_time_unix_nano >= round(started.at * 1e6) * 1000


def test_what_a_collector_took_is_noted_and_what_it_did_not_take_is_kept(here: Path) -> None:
    session = run(here, PLAN)
    with collecting() as collector:
        collector.max_spans = 2
        assert trace(session, "--endpoint", collector.url).exit_code == 0
        first = {span.span_id for span in collector.spans}
        assert len(collector.spans) == len(first) == 9, "a collector that takes little at once gets little at once"
        collector.max_spans = 100
        assert trace(session, "--endpoint", collector.url, "--again").exit_code == 0
        assert len(collector.spans) == 18
        assert {span.span_id for span in collector.spans} == first
        collector.answer = 401
        refused = trace(session, "--endpoint", collector.url, "--again", "--timeout", "0s")
        assert (refused.exit_code, "it answers 401" in refused.output) == (1, True)
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    down = trace(session, "--endpoint", url, "--timeout", "0s")
    assert (down.exit_code, "Connection refused" in down.output) == (1, True)
    assert f"parexec trace {session}" in down.output
    with collecting(port) as other:
        assert trace(session, "--endpoint", url).exit_code == 0
        assert {span.span_id for span in other.spans} == first


def test_an_engine_starts_what_sends_its_spans(here: Path) -> None:
    with collecting() as collector:
        plan = otel(collector, GATED).replace('run = "true"', "run = 'echo $TRACEPARENT > told'")
        session = run_detached(here, plan)
        until(lambda: "a" in collector.names, "what is over is sent while the session runs")
        assert "b" not in collector.names
        (here / "go").touch()
        until(lambda: len(collector.spans) == 7, "the session is sent")
        until(lambda: not senders(session), "what sends ends by itself")
        run_span = collector.named("a", "attempt 1", "run")
        assert (here / "told").read_text() == f"00-{run_span.trace_id.hex()}-{run_span.span_id.hex()}-01\n"
        assert collector.resource["team"] == "ours"
        assert collector.resource["service.instance.id"] == session
        assert ": 0 spans sent" in parexec("trace", session).out


def test_engines_come_and_go_and_no_span_comes_twice(here: Path) -> None:
    with collecting() as collector:
        session = run_detached(here, otel(collector))
        until(lambda: "a" in collector.names, "what is over is sent")
        first = the_engine(session)
        kill(first)
        second = the_engine(session, besides=first)
        (sender,) = until(lambda: senders(session), "it is there still")
        os.kill(sender, signal.SIGKILL)
        until(lambda: not senders(session), "and it is gone")
        assert parexec("stop", "-s", session, "--now", "--yes").code == 0
        until(lambda: not exists(second), "the engine left")
        (here / "go").touch()
        assert parexec("resume", session, "--detach").code == 0
        until(lambda: any(name.startswith("RUN") for name in collector.names), "the session is sent")
        assert len(collector.spans) == len({span.span_id for span in collector.spans})
        until(lambda: not senders(session), "what sends ends by itself")


@pytest.mark.parametrize("delay", [None, 0.5])
def test_a_collector_that_is_down_or_slow_does_not_hold_a_session_up(here: Path, delay: float | None) -> None:
    port = free_port()
    plan = f'[otel]\nendpoint = "http://127.0.0.1:{port}"\n{PLAN}'
    if delay is None:
        began = time.monotonic()
        session = run(here, plan)
        assert time.monotonic() - began < 30
        assert not is_owned(session_folder(session).lock)
        assert senders(session), "it goes on trying"
        with collecting(port) as collector:
            until(lambda: len(collector.spans) == 9, "all is sent")
    else:
        with collecting(port) as collector:
            collector.delay = delay
            session = run(here, plan)
            until(lambda: len(collector.spans) == 9, "all is sent")
    until(lambda: not senders(session), "what sends ends by itself")


def test_who_follows_a_session_sends_it_to_the_end(here: Path) -> None:
    with collecting() as collector:
        session = run_detached(here, GATED)
        follower = subprocess.Popen(
            [*PAREXEC, "trace", session, "--follow", "--endpoint", collector.url],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        until(lambda: "a" in collector.names, "what is over is sent")
        (here / "go").touch()
        out, _ = follower.communicate(timeout=60)
        assert (follower.returncode, ": 7 spans sent" in out) == (0, True)
        assert len(collector.spans) == 7


def test_a_signal_ends_it_and_the_rest_stays(here: Path) -> None:
    with collecting() as collector:
        session = run_detached(here, GATED)
        follower = subprocess.Popen(
            [*PAREXEC, "trace", session, "-f", "--endpoint", collector.url], stdin=subprocess.DEVNULL
        )
        until(lambda: "a" in collector.names, "what is over is sent")
        follower.send_signal(signal.SIGTERM)
        assert follower.wait(60) == 128 + signal.SIGTERM
        (here / "go").touch()
        until(lambda: parexec("trace", session, "-f", "--endpoint", collector.url).code == 0, "the rest is sent")
        assert len(collector.spans) == len({span.span_id for span in collector.spans}) == 7


_WITHOUT = "import sys; sys.modules['opentelemetry'] = None; from parexec_tui.cli import main; main()"


def test_without_the_extra_it_says_what_to_install(here: Path) -> None:
    session = run(here, PLAN)
    (here / "plan.toml").write_text(f"[otel]\nenabled = true\n{PLAN}")
    for words, code in (
        (("trace", session), 2),
        (("validate", "plan.toml"), 0),
        (("run", "plan.toml", "--headless"), 1),
    ):
        ran = subprocess.run(
            [sys.executable, "-c", _WITHOUT, *words], capture_output=True, text=True, timeout=60, check=False
        )
        assert ran.returncode == code, ran.stderr
        assert (ran.stdout + ran.stderr).count("pip install 'parexec-tui[otel]'") == 1


def test_a_url_that_is_none_is_refused() -> None:
    for url in ("collector:4318", "ftp://collector", "http://", "http://a b"):
        answer = trace("--endpoint", url)
        assert (answer.exit_code, "is no URL of a collector" in answer.output) == (2, True)


def test_nothing_is_sent_where_the_environment_forbids_it(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
    with collecting() as collector:
        run(here, otel(collector, PLAN))
        answer = trace()
        assert (answer.exit_code, collector.tries) == (2, 0)
        assert "OTEL_SDK_DISABLED" in answer.output
