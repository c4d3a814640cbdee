"""The variables of a session's plan, for `show` and `status`."""

from collections.abc import Mapping

from parexec_tui.core.state.session import SessionState
from parexec_tui.text.words import printable

_MOST = 1_000
"""Characters of a value."""


def variables_fact(state: SessionState) -> dict[str, str]:
    """The variables by name, what is long of their values cut."""
    return {
        name: value if len(value) <= _MOST else f"{value[:_MOST]}…" for name, value in state.plan.variables.items()
    }


def variables_line(variables: Mapping[str, str], profile: str) -> str:
    """`variables mode=release, jobs=8 (profile ci)`"""
    chosen = f" (profile {profile})" if profile else ""
    return printable(f"variables {', '.join(f'{name}={value}' for name, value in variables.items())}{chosen}")
