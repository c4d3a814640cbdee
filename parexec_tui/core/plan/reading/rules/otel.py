"""Rules about what is told to OpenTelemetry."""

from collections.abc import Iterator

from parexec_tui.core.plan.otel import Otel, wrong_endpoint
from parexec_tui.core.plan.reading.faults import Fault
from parexec_tui.core.plan.reading.rules.draft import Draft


def spans_can_be_sent(draft: Draft) -> Iterator[Fault]:
    """The collector has a URL, and attributes have names."""
    yield from faults_of(draft.otel)


def faults_of(otel: Otel) -> Iterator[Fault]:
    """What is wrong with the values of an `[otel]` table."""
    if otel.endpoint and (wrong := wrong_endpoint(otel.endpoint)):
        yield Fault(("otel", "endpoint"), wrong, 'write for instance "http://localhost:4318"')
    if any(not name.strip() for name in otel.attributes):
        yield Fault(("otel", "attributes"), "an attribute has no name", "give it one, or leave it out")
