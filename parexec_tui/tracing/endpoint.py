"""Where spans are sent, and what else is sent about who sends them: by the command, the environment, or the plan."""

import os
from collections.abc import Mapping
from importlib.util import find_spec

from parexec_tui.core.plan.otel import Otel

DEFAULT = "http://localhost:4318"
_PATH = "/v1/traces"

NOT_INSTALLED = "what sends spans of OpenTelemetry is not installed: pip install 'parexec-tui[otel]'"


def is_installed() -> bool:
    """Whether what `parexec-tui[otel]` asks for is installed."""
    try:
        return find_spec("opentelemetry.sdk.trace") is not None and (
            find_spec("opentelemetry.exporter.otlp.proto.http") is not None
        )
    except ModuleNotFoundError:
        return False


def is_sent(otel: Otel) -> bool:
    """Whether the spans of a session with this table are sent while it runs."""
    return otel.is_on and not is_disabled() and is_installed()


def lack_for(otel: Otel) -> str:
    """Why they are not, though the table wants it, and what to do; empty if they are, or it does not want it."""
    return f"[otel]: {NOT_INSTALLED}" if otel.is_on and not is_disabled() and not is_installed() else ""


def is_disabled(environment: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment says that nothing is sent."""
    return environment.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"


def endpoint_of(otel: Otel, given: str = "", environment: Mapping[str, str] = os.environ) -> str:
    """The URL that spans are sent to: that of the command line, else that of the environment, else that of the plan
    or the settings, else that of a collector on this machine."""
    if given:
        return _with_path(given)
    if whole := environment.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "").strip():
        return whole
    base = environment.get("OTEL_EXPORTER_OTLP_ENDPOINT", "").strip()
    return _with_path(base or otel.endpoint or DEFAULT)


def _with_path(base: str) -> str:
    return base if base.rstrip("/").endswith(_PATH) else f"{base.rstrip('/')}{_PATH}"
