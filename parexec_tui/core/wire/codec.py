"""How plans and events are written and read: JSON, by msgspec."""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.resources import Amounts, Resources, write_units
from parexec_tui.core.plan.ticket import Ticket
from parexec_tui.core.plan.units import (
    Duration,
    Factor,
    Lease,
    Money,
    Size,
    TokenCount,
    shown,
    write_factor,
    write_money,
)
from parexec_tui.core.state.events import AnyEvent, Event
from parexec_tui.core.wire.folding import Part, fold, unfold


def to_builtin(value: object) -> object:
    """For msgspec: the plain form of our own number types."""
    if isinstance(value, Duration):
        return float(value)
    if isinstance(value, Lease):
        return value.told
    if isinstance(value, Factor):
        return write_factor(value)
    if isinstance(value, Money):
        return write_money(value)
    if isinstance(value, Size | TokenCount):
        return int(value)
    if isinstance(value, Amounts):
        return dict(value)
    if isinstance(value, Resources):
        return {name: write_units(each) if isinstance(each, tuple) else each for name, each in value.items()}
    raise NotImplementedError(type(value).__name__)


def from_builtin(wanted: type, value: object) -> Any:
    """For msgspec: our own number types, from what stands in a file. Raises ValueError in plan words."""
    if issubclass(wanted, Duration | Factor | Lease | Money | Size | TokenCount | Amounts | Resources):
        return wanted.parse(value)
    raise NotImplementedError(wanted.__name__)


_encoder = msgspec.json.Encoder(enc_hook=to_builtin)
_event_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent, dec_hook=from_builtin)


class _StoredPlan(Plan, frozen=True, kw_only=True):
    tickets: dict[str, Ticket] | list[Part]  # type: ignore[assignment]


_plan_decoder = msgspec.json.Decoder(_StoredPlan, dec_hook=from_builtin)

encode = _encoder.encode


def kind_of(event: Event | type[Event]) -> str:
    """The name of the kind of an event, as in the registry: `attempt_started`."""
    tag = event.__struct_config__.tag
    assert isinstance(tag, str)
    return tag


class LaterVersionError(msgspec.ValidationError):
    """An event is of a kind that is not known: a later version of parexec wrote it."""


class _Kind(msgspec.Struct):
    kind: str


def decode_event(data: bytes | str) -> AnyEvent:
    """Read one event. Raises msgspec.DecodeError, ValidationError or LaterVersionError when it is not one of ours."""
    try:
        return _event_decoder.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error
    except msgspec.ValidationError:
        kind = msgspec.json.decode(data, type=_Kind).kind
        if kind in map(kind_of, get_args(AnyEvent)):
            raise
        text = f"a later version of parexec wrote them (events of the kind {shown(kind)} are not known here)"
        raise LaterVersionError(text) from None


def encode_plan(plan: Plan) -> bytes:
    """A plan as the registry keeps it: its families are folded, so that what is stored and read again by every viewer
    is as long as what a person wrote."""
    parts = fold(plan.tickets)
    return encode(plan if parts is None else _StoredPlan(**{**_fields(plan), "tickets": parts}))


def decode_plan(data: bytes | str) -> Plan:
    """Read a plan that `encode_plan` wrote, or `encode`. Raises as `decode_event` does."""
    try:
        stored = _plan_decoder.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error
    tickets = stored.tickets
    if isinstance(tickets, list):
        try:
            tickets = unfold(tickets)
        except (LookupError, TypeError, ValueError) as error:
            raise msgspec.ValidationError(f"a family cannot be unfolded: {error}") from error
    return Plan(**{**_fields(stored), "tickets": tickets})


def _fields(plan: Plan) -> dict[str, Any]:
    return {name: getattr(plan, name) for name in Plan.__struct_fields__}


def plain_plan(data: bytes) -> bytes:
    """A stored plan in which every ticket stands. Raises as `decode_event` does."""
    return data if isinstance(msgspec.json.decode(data, type=_Tickets).tickets, dict) else encode(decode_plan(data))


class _Tickets(msgspec.Struct):
    tickets: dict[str, msgspec.Raw] | list[msgspec.Raw] = {}


def lines(values: Sequence[object]) -> bytes:
    """JSON lines."""
    return _encoder.encode_lines(values)
