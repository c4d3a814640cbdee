"""Services: what runs beside tickets for as long as one of them uses it."""

import re
from functools import lru_cache
from typing import Annotated, Literal, NamedTuple

from msgspec import Meta, Struct

from parexec_tui.core.plan.units import Duration, shown

MAX_RESTARTS = 1_000_000
"""The most restarts that a plan may name."""

LONGEST_PAUSE = 60.0
"""Seconds that a service waits at most before it is started again."""


class Service(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A command that runs while tickets use it: started before the first of them, stopped after the last."""

    run: Annotated[str, Meta(description="A shell command that goes on until it is stopped, in the foreground.")] = ""
    ready: Annotated[
        str,
        Meta(
            description="When tickets may use it: `tcp:5432` or `http://localhost:8080/health` answers, its output "
            "has `log:TEXT` (`*` stands for anything in the line), or a shell command succeeds; absent: at once."
        ),
    ] = ""
    ready_timeout: Annotated[
        Duration, Meta(description="How long it may take until it is ready; else it is stopped, and has died.")
    ] = Duration(60)
    restart: Annotated[
        Literal["never", "always"] | Annotated[int, Meta(ge=0, le=MAX_RESTARTS)],
        Meta(description="How often in all it is started again after it died while it was used."),
    ] = 3
    restart_delay: Annotated[
        Duration,
        Meta(description="The pause before it is started again; it doubles each time, up to a minute."),
    ] = Duration(1)
    on_death: Annotated[
        Literal["fail", "retry"],
        Meta(
            description="When it dies, what becomes of the tickets that use it and run: they fail, or are stopped "
            "and run again, at no charge."
        ),
    ] = "fail"
    stop: Annotated[
        str,
        Meta(description="A shell command that ends it; after `grace` it gets TERM. Absent: it gets TERM at once."),
    ] = ""
    grace: Annotated[Duration, Meta(description="How long it has between TERM and KILL, and for `stop`.")] = Duration(
        10
    )
    env: Annotated[dict[str, str], Meta(description="Environment variables, over those of the engine.")] = {}
    env_file: Annotated[
        tuple[str, ...],
        Meta(
            description="Files with more of them, lines NAME=VALUE, read at each start; what `env` says goes before. "
            "Seen from the file that names them; `path?`: may be missing."
        ),
    ] = ()
    secrets: Annotated[
        tuple[str, ...],
        Meta(
            description="Environment variables whose values are secret: see [secrets]. They are kept nowhere, and "
            "masked in what its commands print."
        ),
    ] = ()
    cwd: Annotated[str | None, Meta(description="The folder it runs in, seen from the workdir.")] = None

    @property
    def max_restarts(self) -> float:
        """How often in all it may be started again after it died."""
        if isinstance(self.restart, int):
            return self.restart
        return float("inf") if self.restart == "always" else 0

    def pause(self, deaths: int) -> float:
        """Seconds until it is started again, after it has died that often."""
        return min(self.restart_delay * 2.0 ** min(deaths - 1, 30), max(LONGEST_PAUSE, self.restart_delay))


class TcpReady(NamedTuple):
    """Something accepts connections at a port."""

    host: str
    port: int


class HttpReady(NamedTuple):
    """A GET is answered with a status from 200 to 399."""

    host: str
    port: int
    target: str
    """What is asked for: path and query."""
    is_tls: bool


class LogReady(NamedTuple):
    """A line of its output has this text, in which `*` stands for anything."""

    pattern: str


class CommandReady(NamedTuple):
    """A shell command succeeds."""

    run: str


Ready = TcpReady | HttpReady | LogReady | CommandReady

_LOCAL = "localhost"
_is_ipv6 = re.compile(r"\[(?P<host>[^\]]+)\]:(?P<port>[0-9]+)").fullmatch


@lru_cache(maxsize=200)
def parse_ready(text: str) -> Ready | None:
    """What a `ready` means; None for one that is empty. Raises ValueError saying what is wrong with it."""
    if not text.strip():
        return None
    if text.startswith("tcp:"):
        return _tcp(text.removeprefix("tcp:"))
    if text.startswith(("http://", "https://")):
        return _http(text)
    if text.startswith("log:"):
        return _log(text.removeprefix("log:").strip())
    return CommandReady(text)


def _tcp(text: str) -> TcpReady:
    if (found := _is_ipv6(text)) is not None:
        host, port = found["host"], found["port"]
    else:
        host, _, port = text.rpartition(":")
    if ":" in host and found is None:
        raise ValueError(f"{shown(host)} is no host: write an IPv6 address in brackets, tcp:[::1]:5432")
    return TcpReady(host or _LOCAL, _port(port))


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise ValueError(f"{shown(text)} is no port: write a number from 1 to 65535, for instance tcp:5432")
    return int(text)


def _http(text: str) -> HttpReady:
    from urllib.parse import urlsplit  # not needed by most, and slow to import

    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError as error:
        raise ValueError(f"{shown(text)} is no address: {error}") from None
    if not host or any(letter.isspace() or not letter.isprintable() or not letter.isascii() for letter in text):
        raise ValueError(f"{shown(text)} is no address: write for instance http://localhost:8080/health")
    if url.username is not None:
        raise ValueError("an address cannot have a user: use a command, for instance `curl -fsS -u ...`")
    is_tls = url.scheme == "https"
    target = (url.path or "/") + (f"?{url.query}" if url.query else "")
    return HttpReady(host, port or (443 if is_tls else 80), target, is_tls)


def _log(pattern: str) -> LogReady:
    if not pattern.strip("*").strip():
        raise ValueError("the text that its output must have is missing: write for instance log:ready to accept")
    if "\n" in pattern or "\0" in pattern:
        raise ValueError("the text must stand in one line")
    return LogReady(pattern)
