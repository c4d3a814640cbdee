"""How plans and events are written and read: JSON, by msgspec."""

from collections.abc import Sequence
from typing import Any, get_args

import msgspec

from parexec_tui.core.plan.model import Plan
from parexec_tui.core.plan.resources import Amounts, Resources, write_units
from parexec_tui.core.plan.units import Duration, Factor, Size, shown, write_factor
from parexec_tui.core.state.events import AnyEvent, Event


def to_builtin(value: object) -> object:
    """For msgspec: the plain form of our own number types."""
    if isinstance(value, Duration):
        return float(value)
    if isinstance(value, Factor):
        return write_factor(value)
    if isinstance(value, Size):
        return int(value)
    if isinstance(value, Amounts):
        return dict(value)
    if isinstance(value, Resources):
        return {name: write_units(each) if isinstance(each, tuple) else each for name, each in value.items()}
    raise NotImplementedError(type(value).__name__)


def from_builtin(wanted: type, value: object) -> Any:
    """For msgspec: our own number types, from what stands in a file. Raises ValueError in plan words."""
    if issubclass(wanted, Duration | Factor | Size | Amounts | Resources):
        return wanted.parse(value)
    raise NotImplementedError(wanted.__name__)


_encoder = msgspec.json.Encoder(enc_hook=to_builtin)
_event_decoder: msgspec.json.Decoder[AnyEvent] = msgspec.json.Decoder(AnyEvent, dec_hook=from_builtin)
_plan_decoder = msgspec.json.Decoder(Plan, dec_hook=from_builtin)

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


def decode_plan(data: bytes | str) -> Plan:
    """Read a plan that `encode` wrote. Raises as `decode_event` does."""
    try:
        return _plan_decoder.decode(data)
    except UnicodeDecodeError as error:
        raise msgspec.DecodeError(str(error)) from error


def lines(values: Sequence[object]) -> bytes:
    """JSON lines."""
    return _encoder.encode_lines(values)
