"""What a person can ask for so that a root goes away."""

from parexec_tui.core.schedule.root import Root
from parexec_tui.core.wire import requests as rq
from parexec_tui.core.wire.requests import AnyRequest


def remedy(root: Root) -> AnyRequest | None:
    """The request that ends what a root is about; None if it ends by itself, or no request ends it."""
    match root.kind:
        case "frozen":
            return rq.Thaw(tickets=(root.ticket,))
        case "held":
            return rq.Release(tickets=(root.ticket,))
        case "session" if root.how == "stopping":
            return None
        case "session":
            return rq.Thaw() if root.how == "frozen" else rq.Release()
        case "agent":
            return rq.Release(agents=(root.agent,))
        case "type":
            return rq.Release(types=(root.name,))
        case "backoff":
            return rq.Retry(tickets=(root.ticket,))
        case _:
            return None
