"""What all events have in common."""

from msgspec import Struct


class Event(Struct, frozen=True, kw_only=True, tag_field="kind", tag=None, omit_defaults=True, gc=False):
    """What all events have in common."""

    at: float
