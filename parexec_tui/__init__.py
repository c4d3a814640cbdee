"""parexec-tui: execute a plan of dependent tickets with a pool of agents in parallel.

What programs may import from here is on the page `docs/api.md`; each name is loaded when it is first asked for, since
every command of the command line imports this.
"""

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = ["ParexecError", "Plan", "PlanError", "__version__"]

if TYPE_CHECKING:
    from parexec_tui.api.errors import ParexecError as ParexecError
    from parexec_tui.api.errors import PlanError as PlanError
    from parexec_tui.api.plan import Plan as Plan
else:
    _HOMES = {
        "ParexecError": "errors",
        "Plan": "plan",
        "PlanError": "errors",
    }

    def __getattr__(name):
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = globals()[name] = getattr(import_module(f"parexec_tui.api.{_HOMES[name]}"), name)
        return value

    def __dir__():
        return sorted({*globals(), *_HOMES})
