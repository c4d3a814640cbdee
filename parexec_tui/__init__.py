"""parexec-tui: execute a plan of dependent tickets with a pool of agents in parallel.

What programs may import from here is on the page `docs/api.md`. Each name is loaded when it is first asked for, since
every command of the command line imports this; checkers of types read `__init__.pyi`.
"""

__version__ = "0.1.0"

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
"""{name: the file of `api` that has it}"""

__all__ = [*_HOMES, "__version__"]


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"parexec_tui.api.{_HOMES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
