"""What is found out about the order in which tickets start."""

from parexec_tui.core.state.events.event import Event


class OrderFound(Event, frozen=True, tag="order_found"):
    """A search found an order of dispatch that is better than the longest path. It holds until the plan is amended,
    the pool changes, or estimates turn out to be wrong. Times are seconds from now until the last ticket ends."""

    tickets: tuple[int, ...]
    """The tickets that were not over, by their places in the plan from 0, the one that goes first at the start."""
    seconds: float
    before: float
    """The same by the longest path."""
