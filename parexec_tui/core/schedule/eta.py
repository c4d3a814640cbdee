"""When a session will be finished, as it is told to people and scripts."""

from msgspec import Struct


class Eta(Struct, frozen=True):
    """Seconds until the session is finished: as likely as not within `p50`, nine times in ten within `p90`."""

    p50: float
    p90: float
