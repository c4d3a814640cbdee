"""A collector of OpenTelemetry for tests: a real HTTP server that takes OTLP and keeps the spans."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.trace.v1.trace_pb2 import Span


class Collector:
    """What it was sent, and how it answers."""

    def __init__(self) -> None:
        self.spans: list[Span] = []
        self.resource: dict[str, Any] = {}
        self.headers: dict[str, str] = {}
        self.tries = 0
        self.answer = 200
        """The status of its answers; what it does not answer with 200 it does not keep."""
        self.delay = 0.0
        """Seconds that it takes for each request."""
        self.max_spans = 1000
        """It answers 413 to requests with more."""
        self.url = ""

    def take(self, path: str, body: bytes) -> int:
        self.tries += 1
        time.sleep(self.delay)
        if path != "/v1/traces":
            return 404
        if self.answer != 200:
            return self.answer
        request = ExportTraceServiceRequest.FromString(body)
        found = [
            span for resource in request.resource_spans for scope in resource.scope_spans for span in scope.spans
        ]
        if len(found) > self.max_spans:
            return 413
        for resource in request.resource_spans:
            self.resource = attributes(resource.resource)
        self.spans += found
        return 200

    @property
    def names(self) -> list[str]:
        return [span.name for span in self.spans]

    def named(self, *path: str) -> Span:
        """The only span whose name, and the names of those of which it is a part, end in these."""
        found = [span for span in self.spans if self.path(span)[-len(path) :] == list(path)]
        assert len(found) == 1, f"{len(found)} spans {path} among {sorted(map(self.path, self.spans))}"
        return found[0]

    def path(self, span: Span) -> list[str]:
        by_id = {each.span_id: each for each in self.spans}
        above = by_id.get(span.parent_span_id)
        return [*(self.path(above) if above is not None else []), span.name]


def attributes(of: Any) -> dict[str, Any]:
    """The attributes of a span, a moment or a resource."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in of.attributes}


@contextmanager
def collecting(port: int = 0) -> Iterator[Collector]:
    """A collector that listens. `port`: 0 for any that is free."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            collector.headers = {name.lower(): value for name, value in self.headers.items()}
            status = collector.take(self.path, body)
            answer = ExportTraceServiceResponse().SerializeToString()
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    collector.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
