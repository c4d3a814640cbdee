"""Where spans are sent, and whether: what the command, the environment, the plan and the settings say."""

from collections.abc import Mapping

import pytest

from parexec_tui.core.plan.otel import Otel
from parexec_tui.tracing.endpoint import endpoint_of

PLAN = Otel(endpoint="http://plan:4318")
BASE = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://base/otlp/"}
WHOLE = {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://whole/x"}


@pytest.mark.parametrize(
    ("given", "environment", "otel", "url"),
    [
        ("http://given", BASE | WHOLE, PLAN, "http://given/v1/traces"),
        ("http://given/v1/traces", {}, PLAN, "http://given/v1/traces"),
        ("", BASE | WHOLE, PLAN, "http://whole/x"),
        ("", BASE, PLAN, "http://base/otlp/v1/traces"),
        ("", {}, PLAN, "http://plan:4318/v1/traces"),
        ("", {}, Otel(), "http://localhost:4318/v1/traces"),
    ],
)
def test_who_says_where_it_is_sent(given: str, environment: Mapping[str, str], otel: Otel, url: str) -> None:
    assert endpoint_of(otel, given, environment) == url


@pytest.mark.parametrize(
    ("plan", "settings", "is_on"),
    [
        (Otel(), Otel(), False),
        (PLAN, Otel(), True),
        (Otel(), PLAN, True),
        (Otel(enabled=False), PLAN, False),
        (Otel(enabled=True), Otel(), True),
        (PLAN, Otel(enabled=False), False),
    ],
)
def test_the_plan_goes_before_the_settings(plan: Otel, settings: Otel, is_on: bool) -> None:
    assert plan.over(settings).is_on is is_on
