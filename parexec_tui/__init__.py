"""parexec-tui: execute a plan of dependent tickets with a pool of agents in parallel.

What programs may import from here is on the page `docs/api.md`; each name is loaded when it is first asked for, since
every command of the command line imports this.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "Answer",
    "Event",
    "ParexecError",
    "Plan",
    "PlanError",
    "RefusedError",
    "Result",
    "Session",
    "SessionError",
    "__version__",
]

if TYPE_CHECKING:
    from parexec_tui.api.errors import ParexecError as ParexecError
    from parexec_tui.api.errors import PlanError as PlanError
    from parexec_tui.api.errors import RefusedError as RefusedError
    from parexec_tui.api.errors import SessionError as SessionError
    from parexec_tui.api.events import Event as Event
    from parexec_tui.api.plan import Plan as Plan
    from parexec_tui.api.result import Result as Result
    from parexec_tui.api.session import Session as Session
    from parexec_tui.api.verbs import Answer as Answer
else:
    _HOMES = {
        "Answer": "verbs",
        "Event": "events",
        "ParexecError": "errors",
        "Plan": "plan",
        "PlanError": "errors",
        "RefusedError": "errors",
        "Result": "result",
        "Session": "session",
        "SessionError": "errors",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"parexec_tui.api.{_HOMES[name]}"), name)
        return value

    def __dir__():
        return sorted({*globals(), *_HOMES})
