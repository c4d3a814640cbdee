"""Whether and where a session is told to OpenTelemetry: the `[otel]` of plans and of settings."""

from typing import Annotated
from urllib.parse import urlsplit

from msgspec import Meta, Struct, field


class Otel(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """The `[otel]` table."""

    enabled: Annotated[
        bool | None,
        Meta(
            description="Whether the spans of the session are sent while it runs; absent: if there is an `endpoint` "
            "here."
        ),
    ] = None
    endpoint: Annotated[
        str,
        Meta(
            description="The URL of a collector that takes OTLP over HTTP, without `/v1/traces`; absent: that of "
            "OTEL_EXPORTER_OTLP_ENDPOINT, else http://localhost:4318."
        ),
    ] = ""
    attributes: Annotated[
        dict[str, str],
        Meta(description="Resource attributes of all spans, besides those of OTEL_RESOURCE_ATTRIBUTES."),
    ] = field(default_factory=dict)

    def over(self, others: "Otel") -> "Otel":
        """This one, with the values of the others where it has none."""
        return Otel(
            enabled=others.enabled if self.enabled is None else self.enabled,
            endpoint=self.endpoint or others.endpoint,
            attributes={**others.attributes, **self.attributes},
        )

    @property
    def is_on(self) -> bool:
        """Whether spans are sent while the session runs."""
        return bool(self.endpoint) if self.enabled is None else self.enabled


def wrong_endpoint(url: str) -> str:
    """Why nothing can be sent to a URL; empty if it is well formed."""
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    return "" if is_url and not any(map(str.isspace, url)) else f"{url!r} is no URL of a collector"
