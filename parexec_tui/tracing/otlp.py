"""Sends spans to a collector, by OTLP over HTTP. The only file that imports OpenTelemetry."""

import logging
import os
import re
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import requests
from opentelemetry import trace
from opentelemetry.exporter.otlp.proto.http import trace_exporter
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from parexec_tui import __version__
from parexec_tui.tracing.spans import Span

_CAUSE = re.compile(r".*Caused by \w+\((?:.*: )?(.*?)[\"')]*\)")
"""The end of what the library for HTTP says of a connection, without the names of its own classes."""


class Sender:
    """Sends spans of one trace. Headers, certificates, compression and time-out come from the environment."""

    def __init__(self, endpoint: str, session: str, trace_id: str, attributes: Mapping[str, str]) -> None:
        """`attributes`: of the resource. What the environment says goes before them."""
        self._connection = _Connection()
        self._exporter = trace_exporter.OTLPSpanExporter(endpoint=endpoint, session=self._connection)
        self._trace = int(trace_id, 16)
        named = {
            "service.name": "parexec",
            "service.version": __version__,
            "service.instance.id": session,
            "host.name": socket.gethostname(),
            **attributes,
            **OTELResourceDetector().detect().attributes,
        }
        self._resource = Resource.create(named)
        self._scope = InstrumentationScope("parexec", __version__)
        logger = logging.getLogger(trace_exporter.__name__)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False

    @property
    def was_too_large(self) -> bool:
        """Whether the last request was not taken because of its size."""
        return self._connection.status == requests.codes.request_entity_too_large

    def send(self, spans: Sequence[Span]) -> str:
        """Send spans, and wait until they are taken. Returns why they were not; empty if they were. It may take as
        long as OTEL_EXPORTER_OTLP_TIMEOUT says."""
        self._connection.problem = ""
        if self._exporter.export([self._written(span) for span in spans]) is SpanExportResult.SUCCESS:
            return ""
        is_grpc = os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "").strip() == "grpc"
        hint = "; OTEL_EXPORTER_OTLP_PROTOCOL says grpc, but this is OTLP over HTTP" if is_grpc else ""
        return (self._connection.problem or "it did not answer in time") + hint

    def _written(self, span: Span) -> ReadableSpan:
        return ReadableSpan(
            span.name,
            context=self._context(span.id),
            parent=self._context(span.parent, is_remote=span.is_session) if span.parent else None,
            resource=self._resource,
            attributes=span.attributes,
            events=[Event(each.name, each.attributes, _nanoseconds(each.at)) for each in span.moments],
            links=[trace.Link(self._context(id_), {"parexec.need": need}) for need, id_ in span.links],
            kind=trace.SpanKind.SERVER if span.is_session else trace.SpanKind.INTERNAL,
            status=trace.Status(trace.StatusCode.UNSET)
            if span.problem is None
            else trace.Status(trace.StatusCode.ERROR, span.problem),
            start_time=_nanoseconds(span.start),
            end_time=_nanoseconds(span.end),
            instrumentation_scope=self._scope,
        )

    def _context(self, id_: str, *, is_remote: bool = False) -> trace.SpanContext:
        sampled = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        return trace.SpanContext(self._trace, int(id_, 16), is_remote=is_remote, trace_flags=sampled)


class _Connection(requests.Session):
    """Knows what became of the last request, which the exporter keeps to itself."""

    def __init__(self) -> None:
        super().__init__()
        self.status: int | None = None
        """None: there was no answer."""
        self.problem = ""

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        self.status = None
        try:
            answer = super().send(request, **options)
        except requests.RequestException as error:
            self.problem = _CAUSE.sub(r"\1", str(error))
            raise
        self.status = answer.status_code
        self.problem = "" if answer.ok else f"it answers {answer.status_code} {answer.reason or ''}".strip()
        return answer


def _nanoseconds(at: float) -> int:
    return round(at * 1e6) * 1000
